// Uploads a file with tus-js-client, as somebody else's program would:
// node tus.cjs FILE NAME ENDPOINT COOKIE. Prints how far it is, and at the end where the file was published.
'use strict';
const fs = require('node:fs');
const tus = require('tus-js-client');

const [file, name, endpoint, cookie] = process.argv.slice(2);
const upload = new tus.Upload(fs.createReadStream(file), {
  endpoint,
  headers: { Cookie: cookie },
  metadata: { filename: name, folder: 'from/tus' },
  uploadSize: fs.statSync(file).size,
  retryDelays: Array(60).fill(500),
  onProgress: (sent) => console.log(`sent ${sent}`),
  onSuccess: ({ lastResponse }) => console.log(`published ${lastResponse.getHeader('Upload-Item')}`),
  onError: (error) => {
    console.log(`failed ${error.message}`);
    process.exitCode = 1;
  },
});
upload.start();
