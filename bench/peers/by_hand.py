"""What a developer would write by hand: jsonschema, V8 transforms, aiohttp."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import jsonschema
from aiohttp import ClientSession, web
from py_mini_racer import MiniRacer

METHOD = json.loads(Path("examples/definitions/crm.json").read_text())["methods"][0]
SESSION = web.AppKey("session", ClientSession)
UPSTREAM = web.AppKey("upstream", str)

v8 = MiniRacer()
v8.eval(f"const request = (() => {{ {METHOD['requestTransform']}; return transform }})()")
v8.eval(f"const response = (() => {{ {METHOD['responseTransform']}; return transform }})()")
parameters_schema = jsonschema.Draft202012Validator(METHOD["paramSchema"])
result_schema = jsonschema.Draft202012Validator(METHOD["resultSchema"])


async def execute(request: web.Request) -> web.Response:
    """Validate, transform, call, transform, validate."""
    parameters = (await request.json())["parameters"]
    parameters_schema.validate(parameters)
    body = v8.eval(f"JSON.stringify(request({json.dumps(parameters)}))")
    headers = {"content-type": "application/json", "Authorization": "Bearer k"}
    url = request.app[UPSTREAM]
    async with request.app[SESSION].post(url, data=body, headers=headers) as answer:
        result = json.loads(v8.eval(f"JSON.stringify(response({await answer.text()}))"))
    result_schema.validate(result)
    return web.json_response({"status": "SUCCESS", "data": result})


async def session(app: web.Application) -> AsyncIterator[None]:
    """Keep one client session while the application runs."""
    async with ClientSession() as opened:
        app[SESSION] = opened
        yield


if __name__ == "__main__":
    application = web.Application()
    application[UPSTREAM] = f"http://127.0.0.1:{sys.argv[2]}/createContact"
    application.cleanup_ctx.append(session)
    application.router.add_post("/x", execute)
    web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
