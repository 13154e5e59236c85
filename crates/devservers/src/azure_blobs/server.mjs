// Azurite with one container. Arguments: the folder of its data, its port, the port that answers 200 once the
// container is there, the container. AZURITE_ACCOUNTS is `ACCOUNT:KEY`, as Azurite reads it.
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const HOST = '127.0.0.1';
const VERSION = '2021-08-06';
const [data, port, readyPort, container] = process.argv.slice(2);
const [account, key] = process.env.AZURITE_ACCOUNTS.split(':');

// Authorized with the account's key ("Shared Key"), which is what object storage libraries cannot do for containers.
async function makeContainer() {
  const date = new Date().toUTCString();
  const headers = `x-ms-date:${date}\nx-ms-version:${VERSION}\n`;
  const resource = `/${account}/${account}/${container}\nrestype:container`;
  // None of the eleven usual headers is sent.
  const toSign = `PUT\n${'\n'.repeat(11)}${headers}${resource}`;
  const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(toSign).digest('base64');
  const made = await fetch(`http://${HOST}:${port}/${account}/${container}?restype=container`, {
    method: 'PUT',
    headers: { 'x-ms-date': date, 'x-ms-version': VERSION, authorization: `SharedKey ${account}:${signature}` },
  });
  // 409: it is there since an earlier start.
  if (made.status !== 201 && made.status !== 409) throw new Error(`${made.status}: ${await made.text()}`);
}

async function untilReady() {
  for (;;) {
    try {
      await makeContainer();
      return;
    } catch (error) {
      console.error(String(error));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

process.argv.splice(2, Infinity, '--blobHost', HOST, '--blobPort', port, '--location', data, '--silent',
  '--disableTelemetry', '--skipApiVersionCheck');
createRequire(import.meta.url)('azurite/dist/src/blob/main.js');
await untilReady();
createServer((_, res) => res.writeHead(200).end()).listen(Number(readyPort), HOST);
