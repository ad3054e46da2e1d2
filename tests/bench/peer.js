// The same parse-and-answer work as the handler, with Node's http.
'use strict';
const http = require('node:http');

function answer(res, line) {
  const text = JSON.stringify({ Outputs: {}, Logs: [line], ReturnValue: null });
  res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
  res.end(text);
}

http.createServer((req, res) => {
  if (req.url !== '/delete-resources') {
    answer(res, '');
    return;
  }
  const began = Date.now();
  const pieces = [];
  req.on('data', (piece) => pieces.push(piece));
  req.on('end', () => {
    const id = req.headers['x-azure-functions-invocationid'];
    let line = 'looked';
    try {
      const inv = JSON.parse(Buffer.concat(pieces).toString('utf8'));
      const bell = JSON.parse(Buffer.from(inv.Data.message, 'base64').toString('utf8'));
      if (bell.v !== 1 || !bell.job_id) throw new Error('no bell');
    } catch {
      line = 'not understood; nothing was done';
      process.stderr.write(`warn: [${id}] a message that is no bell\n`);
    }
    process.stdout.write(`[${id}] done in ${Date.now() - began} ms\n`);
    answer(res, line);
  });
}).listen(Number(process.env.FUNCTIONS_CUSTOMHANDLER_PORT), '127.0.0.1');
