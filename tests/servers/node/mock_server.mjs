// Runs oauth2-mock-server, whose hooks give the answers that no proper server gives.

import { Events, OAuth2Server } from 'oauth2-mock-server';
import { parse } from 'node:querystring';

import { listen, sleep } from './control.mjs';

const { issuer, serve } = await listen();
const server = new OAuth2Server();
server.issuer.url = issuer;
await server.issuer.keys.generate('RS256');

const HOOKS = {
  token: Events.BeforeResponse,
  revoke: Events.BeforeRevoke,
  introspect: Events.BeforeIntrospect,
  userinfo: Events.BeforeUserinfo,
  '.well-known/openid-configuration': Events.BeforeWellKnownOpenIdConfiguration,
};
let queues = {};
let requests = [];

/** Answers the request with a prepared answer, or as the server does. */
async function handle(request, response) {
  const endpoint = request.url.split('?')[0].slice(1);
  const entry = record(endpoint, request, response);
  const answer = queues[endpoint]?.shift();
  if (answer?.delayMs) await sleep(answer.delayMs);
  if (answer?.hangUp) request.socket.destroy();
  else if (answer && 'base64' in answer) answerWithText(answer, response);
  else {
    request.prepared = answer;
    server.service.requestHandler(request, response);
  }
  // Listening starts the stream, so it comes last: the server has begun to read in this same turn.
  request.on('data', (chunk) => keep(entry, chunk));
}

function record(endpoint, request, response) {
  const entry = {
    number: requests.length + 1,
    receivedAt: Date.now() / 1000,
    endpoint,
    method: request.method,
    authorization: request.headers.authorization ?? null,
    headers: request.headers,
    body: '',
    form: {},
    status: null,
    delivered: null,
  };
  requests.push(entry);
  response.once('close', () => {
    entry.status = response.writableFinished ? response.statusCode : null;
    entry.delivered = response.writableFinished;
  });
  return entry;
}

function keep(entry, chunk) {
  entry.body += chunk.toString('utf8');
  entry.form = parse(entry.body);
}

function answerWithText({ status = 200, base64, contentType, headers }, response) {
  response.writeHead(status, { 'content-type': contentType, ...headers });
  response.end(Buffer.from(base64, 'base64'));
}

for (const hook of Object.values(HOOKS)) {
  server.service.on(hook, (answer, request) => {
    const prepared = request.prepared;
    if (!prepared) return;
    if (prepared.status) answer.statusCode = prepared.status;
    if ('body' in prepared) answer.body = prepared.body;
    Object.assign(answer.body ?? {}, prepared.set);
    for (const name of prepared.drop ?? []) delete answer.body[name];
  });
}

serve(handle, {
  prepare: (answers) => {
    for (const [endpoint, more] of Object.entries(answers)) (queues[endpoint] ??= []).push(...more);
  },
  log: () => requests,
  waiting: () => Object.fromEntries(Object.entries(queues).map(([name, queue]) => [name, queue.length])),
  reset: () => {
    queues = {};
    requests = [];
  },
});
