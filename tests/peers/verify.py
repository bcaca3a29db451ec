"""Verifies one webhook with the reference package of Standard Webhooks; fails when it is not signed."""
import json
import sys

from standardwebhooks.webhooks import Webhook

message = json.load(sys.stdin)
Webhook(message["secret"]).verify(message["body"], message["headers"])
