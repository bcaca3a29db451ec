"""Sets a trail up in a server that plays AWS, by every way from a bucket to a queue.

aws.py ENDPOINT setup         makes buckets, topics, a queue with a dead-letter queue; prints its URL
aws.py ENDPOINT write N       writes N records by each way
aws.py ENDPOINT lost          tells the queue of an object that is not there
aws.py ENDPOINT account A N   makes a queue in the account A and sends it N events; prints its URL, and the id and secret
                              of a key that belongs to a user there
aws.py ENDPOINT secret K N V  puts the value V into a secret N of the account the key K belongs to
aws.py ENDPOINT left          prints how many messages are in the queue, and in the dead-letter queue
"""

import gzip
import json
import sys

import boto3

REGION = "eu-central-1"
ACCOUNT = "123456789012"


def client(service):
    return boto3.client(
        service,
        endpoint_url=sys.argv[1],
        region_name=REGION,
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="secret",
    )


def queue_url(name):
    return client("sqs").get_queue_url(QueueName=name)["QueueUrl"]


def setup():
    s3, sqs, sns, events = client("s3"), client("sqs"), client("sns"), client("events")
    sqs.create_queue(QueueName="dead")
    policy = {"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead", "maxReceiveCount": 5}
    url = sqs.create_queue(QueueName="keywatch", Attributes={"RedrivePolicy": json.dumps(policy)})["QueueUrl"]
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:keywatch"
    topics = {name: sns.create_topic(Name=name)["TopicArn"] for name in ("by-trail", "by-bucket")}
    for topic in topics.values():
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    created = ["s3:ObjectCreated:*"]
    ways = {
        "trail-sns": None,
        "s3-sqs": {"QueueConfigurations": [{"QueueArn": queue, "Events": created}]},
        "s3-sns": {"TopicConfigurations": [{"TopicArn": topics["by-bucket"], "Events": created}]},
        "s3-bridge": {"EventBridgeConfiguration": {}},
    }
    for bucket, way in ways.items():
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        if way is not None:
            s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=way)
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": ["s3-bridge"]}}}
    events.put_rule(Name="objects", EventPattern=json.dumps(pattern), State="ENABLED")
    events.put_targets(Rule="objects", Targets=[{"Id": "queue", "Arn": queue}])
    print(url)


def record(way, number):
    name = "DeleteSecret" if number == 0 else "GetSecretValue"
    return {
        "eventVersion": "1.08",
        "userIdentity": {"type": "IAMUser", "principalId": "AIDA", "accountId": ACCOUNT, "userName": "ada",
                         "arn": f"arn:aws:iam::{ACCOUNT}:user/ada"},
        "eventTime": f"2026-06-01T00:00:{number % 60:02}Z",
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": name,
        "awsRegion": REGION,
        "sourceIPAddress": "203.0.113.9",
        "userAgent": "aws-cli/2.15",
        "requestParameters": {"secretId": "prod/db"},
        "responseElements": None,
        "eventID": f"{way}-{number}",
        "readOnly": number != 0,
        "eventType": "AwsApiCall",
        "recipientAccountId": ACCOUNT,
    }


def write(count):
    s3, sqs, sns = client("s3"), client("sqs"), client("sns")
    for way in ("trail-sns", "s3-sqs", "s3-sns", "s3-bridge"):
        key = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/2026/06/01/a b+c({way}).json.gz"
        body = gzip.compress(json.dumps({"Records": [record(way, n) for n in range(count)]}).encode())
        s3.put_object(Bucket=way, Key=key, Body=body)
        if way == "trail-sns":
            topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:by-trail"
            sns.publish(TopicArn=topic, Message=json.dumps({"s3Bucket": way, "s3ObjectKey": [key]}))
    for n in range(count):
        event = {"version": "0", "detail-type": "AWS API Call via CloudTrail", "source": "aws.secretsmanager",
                 "account": ACCOUNT, "region": REGION, "resources": [], "detail": record("bridge", n)}
        sqs.send_message(QueueUrl=queue_url("keywatch"), MessageBody=json.dumps(event))
    sqs.send_message(QueueUrl=queue_url("keywatch"), MessageBody=json.dumps({"Event": "s3:TestEvent", "Bucket": "x"}))


def lost():
    object = {"bucket": {"name": "s3-sqs"}, "object": {"key": f"AWSLogs/{ACCOUNT}/CloudTrail/gone.json.gz"}}
    notice = {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": object}]}
    client("sqs").send_message(QueueUrl=queue_url("keywatch"), MessageBody=json.dumps(notice))


def account(name, count):
    role = f"arn:aws:iam::{name}:role/keywatch"
    taken = client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    keys = {"aws_access_key_id": taken["AccessKeyId"], "aws_secret_access_key": taken["SecretAccessKey"],
            "aws_session_token": taken["SessionToken"]}
    sqs, iam = (boto3.client(service, endpoint_url=sys.argv[1], region_name=REGION, **keys) for service in ("sqs", "iam"))
    url = sqs.create_queue(QueueName="keywatch")["QueueUrl"]
    for n in range(count):
        event = {"version": "0", "detail-type": "AWS API Call via CloudTrail", "source": "aws.secretsmanager",
                 "account": name, "region": REGION, "resources": [], "detail": record(name, n + 1)}
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(event))
    iam.create_user(UserName="keywatch")
    key = iam.create_access_key(UserName="keywatch")["AccessKey"]
    print(url, key["AccessKeyId"], key["SecretAccessKey"])


def secret(key, name, value):
    boto3.client("secretsmanager", endpoint_url=sys.argv[1], region_name=REGION, aws_access_key_id=key,
                 aws_secret_access_key="secret").create_secret(Name=name, SecretString=value)


def left():
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = []
    for queue in ("keywatch", "dead"):
        attributes = client("sqs").get_queue_attributes(QueueUrl=queue_url(queue), AttributeNames=names)["Attributes"]
        found.append(sum(int(attributes[name]) for name in names))
    print(*found)


if sys.argv[2] == "setup":
    setup()
elif sys.argv[2] == "write":
    write(int(sys.argv[3]))
elif sys.argv[2] == "account":
    account(sys.argv[3], int(sys.argv[4]))
elif sys.argv[2] == "secret":
    secret(*sys.argv[3:6])
elif sys.argv[2] == "lost":
    lost()
else:
    left()
