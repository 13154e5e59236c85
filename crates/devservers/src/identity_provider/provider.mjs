// OpenID Connect issuers for tests, as many as they ask for, in one process: `node provider.mjs PORT`.
//
// Each issuer is an `oidc-provider` of its own below a path of its own. What a test does to an issuer no real
// one would let it do (take its keys, sign nonsense with them) is served beside it, for this machine only:
//
//   GET  /                      200 once it serves
//   POST /issuers               {"url": of a proxy before this server, optional} → {"id", "issuer", "client_secret"}
//   POST /issuers/ID/roll-over  new keys take the place of the old ones
//   POST /issuers/ID/sign       {"header", "claims", "old": true for the keys before} → the token, as text
//   GET  /issuers/ID            {"key_fetches"}: how often its keys were asked for

import { createHmac, generateKeyPair, randomUUID, sign } from 'node:crypto';
import { createServer } from 'node:http';
import { promisify } from 'node:util';

import Provider from 'oidc-provider';

const HOST = '127.0.0.1';
const AUDIENCE = 'exports';
/** Clients of every issuer. */
const CLIENTS = ['source-client', 'other-client', 'unknown-client'];

const port = Number(process.argv[2]);
const generate = promisify(generateKeyPair);
const issuers = new Map();

async function newKeys() {
  const keys = {
    RS256: await generate('rsa', { modulusLength: 2048 }),
    ES256: await generate('ec', { namedCurve: 'P-256' }),
    // Whoever takes any key of the set would take this one too.
    'RSA-OAEP': await generate('rsa', { modulusLength: 2048 }),
  };
  return Object.fromEntries(Object.entries(keys).map(([alg, pair]) => [alg, { ...pair, kid: randomUUID() }]));
}

function newProvider(issuer, secret, keys) {
  const jwk = ([alg, { privateKey, kid }]) => ({
    ...privateKey.export({ format: 'jwk' }), alg, kid, use: alg === 'RSA-OAEP' ? 'enc' : 'sig',
  });
  const resource = (_ctx, _indicator, client) => ({
    scope: '',
    audience: AUDIENCE,
    accessTokenFormat: 'jwt',
    accessTokenTTL: 300,
    jwt: { sign: { alg: client.clientId === 'other-client' ? 'ES256' : 'RS256' } },
  });
  const provider = new Provider(issuer, {
    clients: CLIENTS.map((id) => ({
      client_id: id,
      client_secret: secret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    jwks: { keys: Object.entries(keys).map(jwk) },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      // Without it the key for encryption would be of no use, and refused.
      encryption: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:exports',
        getResourceServerInfo: resource,
      },
    },
  });
  return provider.callback();
}

async function newIssuer({ url = `http://${HOST}:${port}` }) {
  const id = randomUUID();
  const issuer = { url: `${url}/${id}`, secret: randomUUID(), keys: await newKeys(), keyFetches: 0 };
  issuer.provider = newProvider(issuer.url, issuer.secret, issuer.keys);
  issuers.set(id, issuer);
  return { id, issuer: issuer.url, client_secret: issuer.secret };
}

async function rollOver(issuer) {
  issuer.oldKeys = issuer.keys;
  issuer.keys = await newKeys();
  issuer.provider = newProvider(issuer.url, issuer.secret, issuer.keys);
  return {};
}

/** A token with this header and these claims whatever they are; `kid` is that of the key unless it is given. */
function signed(issuer, { header, claims, old }) {
  const keys = old ? issuer.oldKeys : issuer.keys;
  const key = keys[header.alg] ?? keys.RS256;
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const message = `${encode({ kid: key.kid, ...header })}.${encode(claims)}`;
  return `${message}.${signature(header.alg, message, key).toString('base64url')}`;
}

function signature(alg, message, { privateKey, publicKey }) {
  switch (alg) {
    case 'none':
      return Buffer.alloc(0);
    case 'HS256':
      // The mistake that this attack hopes for: the public key, taken for a shared secret.
      return createHmac('sha256', publicKey.export({ type: 'spki', format: 'pem' })).update(message).digest();
    default:
      return sign('sha256', Buffer.from(message), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  }
}

async function control(req, id, verb) {
  const body = await text(req);
  if (!id) return newIssuer(JSON.parse(body || '{}'));
  const issuer = issuers.get(id);
  if (!issuer) return undefined;
  if (verb === 'roll-over') return rollOver(issuer);
  if (verb === 'sign') return signed(issuer, JSON.parse(body));
  return { key_fetches: issuer.keyFetches };
}

async function text(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function serve(req, res) {
  const [, first, second, verb] = req.url.split('/');
  if (first === '') return answer(res, 200, '');
  if (first === 'issuers') {
    const said = await control(req, second, verb);
    if (said === undefined) return answer(res, 404, 'no such issuer');
    return answer(res, 200, typeof said === 'string' ? said : JSON.stringify(said));
  }
  const issuer = issuers.get(first);
  if (!issuer) return answer(res, 404, 'no such issuer');
  // The provider learns from the difference of the two where it is mounted.
  req.originalUrl = req.url;
  req.url = req.url.slice(first.length + 1);
  if (req.url === '/jwks') issuer.keyFetches += 1;
  return issuer.provider(req, res);
}

function answer(res, status, body) {
  res.writeHead(status).end(body);
}

createServer((req, res) => {
  serve(req, res).catch((error) => answer(res, 500, String(error)));
}).listen(port, HOST);
