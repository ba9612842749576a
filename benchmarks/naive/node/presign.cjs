// What one writes first in Node.js: AWS SDK v3, one client, the secret, the key, the signature. CommonJS, which loads
// faster than an ES module here; run as a program it handles the event in the file and says when it has the signature.
const { readFileSync, writeSync } = require("node:fs");
const { createPrivateKey, sign } = require("node:crypto");
const { GetSecretValueCommand, SecretsManagerClient } = require("@aws-sdk/client-secrets-manager");

const client = new SecretsManagerClient({});

exports.handler = async (event) => {
  const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: "signing" }));
  const der = Buffer.from(JSON.parse(SecretString).privateKey, "base64");
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const { preSign } = JSON.parse(event.body);
  return {
    statusCode: 200,
    body: JSON.stringify({ sign: sign("RSA-MD5", Buffer.from(preSign), key).toString("base64") }),
  };
};

if (require.main === module) {
  exports.handler(JSON.parse(readFileSync(process.argv[2]))).then((answer) => writeSync(1, JSON.stringify(answer)));
}
