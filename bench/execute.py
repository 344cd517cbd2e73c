"""What one execution costs: the CRM example, both transforms, both schemas, API key.

`python -m bench.execute` runs it alone. Every ratio is made of neighbours in time: the peers take
turns, round by round, and the median of the rounds' ratios counts.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import grpc

from bench import load
from bench.load import Target
from bench.processes import cpu_seconds, free_port, program
from bench.rows import Row, load_average, median, percentile, table
from bench.service import EXECUTE_BODY, JSON_TYPE, PARAMETERS, Service, post, running_service
from protos.integration.v1 import executor_service_pb2 as rpc
from protos.integration.v1.json_pb2 import Json

ROUNDS = 5
SECONDS = 3.0
WARM_UP = 1.0
LATENCY_CALLS = 2000
EXECUTE = "/integration.v1.ExecutorService/ExecuteMethod"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a round of load showed."""

    microseconds: float
    per_second: float


def rows() -> list[Row]:
    """Measure everything."""
    with ExitStack() as stack:
        upstream = free_port()
        stack.enter_context(program(["bench.peers.upstream", str(upstream)], upstream))
        service = stack.enter_context(running_service(upstream))
        peers = _peers(stack, upstream)
        return [
            *_rest_rows(service, peers),
            *_grpc_rows(stack, service, upstream),
            _latency_row(service, upstream),
            *_start_rows(upstream),
        ]


def _peers(stack: ExitStack, upstream: int) -> dict[str, tuple[int, Target]]:
    names = {"relay": True, "by_hand": find_spec("py_mini_racer") is not None}
    peers = {}
    for name in [name for name, is_there in names.items() if is_there]:
        port = free_port()
        pid = stack.enter_context(program([f"bench.peers.{name}", str(port), str(upstream)], port))
        peers[name] = (pid, Target(port, "/x", JSON_TYPE, EXECUTE_BODY))
    return peers


def _rest_rows(service: Service, peers: dict[str, tuple[int, Target]]) -> list[Row]:
    everybody = {"ours": (service.pid, service.target()), **peers}
    for pid, target in everybody.values():
        _cost(pid, lambda t=target: load.run(t, seconds=WARM_UP), WARM_UP)
    costs: dict[str, list[Cost]] = {name: [] for name in everybody}
    for _ in range(ROUNDS):
        for name, (pid, target) in everybody.items():
            costs[name].append(_cost(pid, lambda t=target: load.run(t, seconds=SECONDS), SECONDS))
    ratio = _ratio(costs["ours"], costs["relay"])
    found = [
        Row(
            "REST execute in one process: CPU per request / bare aiohttp relay",
            f"{ratio:.2f} × ({_micro(costs['ours'])} / {_micro(costs['relay'])} µs)",
            "≤ 1.6 ×",
            ratio <= 1.6,
        )
    ]
    if "by_hand" in costs:
        pairs = zip(costs["ours"], costs["by_hand"], strict=True)
        faster = median([ours.per_second / theirs.per_second for ours, theirs in pairs])
        found.append(
            Row(
                "REST execute: requests/s / hand-written aiohttp + jsonschema + mini-racer",
                f"{faster:.1f} × ({_rate(costs['ours'])} / {_rate(costs['by_hand'])} per s)",
                "≥ 3 ×",
                faster >= 3,
            )
        )
    else:
        found.append(Row("REST execute / hand-written with mini-racer", "mini-racer not installed"))
    return found


def _grpc_rows(stack: ExitStack, service: Service, upstream: int) -> list[Row]:
    port = free_port()
    relay = stack.enter_context(program(["bench.peers.grpc_relay", str(port), str(upstream)], port))
    ours, theirs = [], []
    for turn in range(ROUNDS + 1):
        mine = _cost(service.pid, lambda: _call_grpc(service.grpc, service), SECONDS)
        floor = _cost(relay, lambda: _call_grpc(port, service), SECONDS)
        if turn:  # the first round warms both up
            ours.append(mine)
            theirs.append(floor)
    ratio = _ratio(ours, theirs)
    return [
        Row(
            "gRPC execute: CPU per call / bare grpc.aio relay",
            f"{ratio:.2f} × ({_micro(ours)} / {_micro(theirs)} µs)",
            "≤ 1.4 ×",
            ratio <= 1.4,
        )
    ]


def _call_grpc(port: int, service: Service) -> int:
    return asyncio.run(_call_grpc_for(port, service, time.monotonic() + SECONDS))


async def _call_grpc_for(port: int, service: Service, end: float, callers: int = 16) -> int:
    request = rpc.ExecuteMethodRequest(
        instance_id=service.instance, method="createContact", parameters=Json(utf8=PARAMETERS)
    )
    metadata = (("authorization", f"Bearer {service.key}"),)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.unary_unary(
            EXECUTE,
            request_serializer=rpc.ExecuteMethodRequest.SerializeToString,
            response_deserializer=rpc.ExecuteMethodResponse.FromString,
        )

        async def caller() -> int:
            count = 0
            while time.monotonic() < end:
                await call(request, metadata=metadata)
                count += 1
            return count

        return sum(await asyncio.gather(*(caller() for _ in range(callers))))


def _latency_row(service: Service, upstream: int) -> Row:
    direct = Target(upstream, "/createContact", JSON_TYPE, PARAMETERS)
    through, straight = asyncio.run(_latencies(service.target(), direct))
    added = (percentile(through, 0.5) - percentile(straight, 0.5)) * 1000
    return Row(
        "added latency at p50, one client, over calling the upstream directly",
        f"{added:.2f} ms ({percentile(through, 0.5) * 1000:.2f} − "
        f"{percentile(straight, 0.5) * 1000:.2f} ms)",
        "≤ 0.6 ms",
        added <= 0.6,
    )


async def _latencies(*targets: Target) -> list[list[float]]:
    """Take turns, call by call, so that the machine's mood is the same for all."""
    connections = [
        (target.raw(), *await asyncio.open_connection("127.0.0.1", target.port))
        for target in targets
    ]
    taken: list[list[float]] = [[] for _ in targets]
    for _ in range(LATENCY_CALLS):
        for (request, reader, writer), times in zip(connections, taken, strict=True):
            start = time.perf_counter()
            writer.write(request)
            await load.answer(reader)
            times.append(time.perf_counter() - start)
    for _, _, writer in connections:
        writer.close()
    return [times[LATENCY_CALLS // 10 :] for times in taken]


def _start_rows(upstream: int) -> list[Row]:
    starts, firsts = [], []
    with tempfile.TemporaryDirectory() as directory:
        for turn in range(ROUNDS + 1):
            begin = time.perf_counter()
            with running_service(upstream, Path(directory)) as service:
                ready = time.perf_counter() - begin
                first = _timed(lambda s=service: post(s.rest, s.target().path, s.key, EXECUTE_BODY))
            if turn:  # the first start also makes the databases and their keys
                starts.append(ready)
                firsts.append(first)
    start, first = median(starts), median(firsts) * 1000
    return [
        Row("start to ready (not the first start)", f"{start:.2f} s", "≤ 1.0 s", start <= 1.0),
        Row("first execution after it", f"{first:.0f} ms", "≤ 50 ms", first <= 50),
    ]


def _timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _cost(pid: int, action: Callable[[], int], seconds: float) -> Cost:
    before = cpu_seconds(pid)
    count = action()
    spent = cpu_seconds(pid) - before
    return Cost(microseconds=spent / count * 1e6, per_second=count / seconds)


def _ratio(ours: list[Cost], theirs: list[Cost]) -> float:
    pairs = zip(ours, theirs, strict=True)
    return median([mine.microseconds / floor.microseconds for mine, floor in pairs])


def _micro(costs: list[Cost]) -> str:
    return f"{median([cost.microseconds for cost in costs]):.0f}"


def _rate(costs: list[Cost]) -> str:
    return f"{median([cost.per_second for cost in costs]):.0f}"


if __name__ == "__main__":
    print(f"load average {load_average()}")
    print(table(rows()))
