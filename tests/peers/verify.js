// Verifies one webhook with the reference package of Standard Webhooks; fails when it is not signed.
const { Webhook } = require("standardwebhooks");

const message = JSON.parse(require("fs").readFileSync(0, "utf8"));
new Webhook(message.secret).verify(message.body, message.headers);
