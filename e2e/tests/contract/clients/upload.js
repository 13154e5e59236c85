// Uploads a file with tus-js-client: URL KEY FILE CHUNK_BYTES, where 0 means as much as there is.
const fs = require('node:fs');
const tus = require('tus-js-client');

const [url, key, file, chunkBytes] = process.argv.slice(2);
new tus.Upload(fs.createReadStream(file), {
  endpoint: url,
  headers: { 'x-rh-exports-psk': key },
  metadata: { filename: 'data.json' },
  chunkSize: Number(chunkBytes) || Infinity,
  retryDelays: Array(100).fill(100),
  onError: (error) => {
    console.error(error);
    process.exit(1);
  },
  onSuccess: () => process.exit(0),
}).start();
