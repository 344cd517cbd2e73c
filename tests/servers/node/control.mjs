// What both servers share: they listen on loopback, say where, and are steered over HTTP.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export { sleep };

// Standard output is for one line that says where the server is: nobody reads it after that.
console.info = console.error;

/** The options that the starter gave, as JSON in the first argument. */
export const options = JSON.parse(process.argv[2] ?? '{}');

/** Reads a request to its end. */
export async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** Listens on loopback; answers the issuer and what to do once requests can be answered. */
export async function listen() {
  const server = createServer();
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  // Whoever started this process and is gone cannot stop it any more.
  process.stdin.resume().on('end', () => process.exit());
  process.on('SIGTERM', () => process.exit());
  const issuer = `http://127.0.0.1:${server.address().port}`;

  function serve(handler, control) {
    server.on('request', (request, response) => {
      const path = request.url.split('?')[0];
      if (!path.startsWith('/control/')) handler(request, response);
      else answerControl(control[path.slice('/control/'.length)], request, response);
    });
    process.stdout.write(`${JSON.stringify({ issuer })}\n`);
  }
  return { issuer, serve };
}

async function answerControl(action, request, response) {
  try {
    const body = await read(request);
    const answer = await action(body ? JSON.parse(body) : {});
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(answer ?? {}));
  } catch (problem) {
    response.statusCode = 400;
    response.end(String(problem?.stack ?? problem));
  }
}
