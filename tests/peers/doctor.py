"""Sets up, in a server that plays AWS, what `keywatch doctor` looks at; prints the URL of the queue.

doctor.py ENDPOINT blind      a trail without reads, KMS or digests in one region; a rule without reads; a queue without a dead-letter queue
doctor.py ENDPOINT mended     the same names, set up as they should be
doctor.py ENDPOINT off        the trail is switched off
"""

import json
import sys

import boto3

REGION = "eu-central-1"
ACCOUNT = "123456789012"
SERVICES = ["secretsmanager", "ssm", "kms", "sts", "iam", "signin", "cloudtrail"]


def client(service):
    return boto3.client(
        service,
        endpoint_url=sys.argv[1],
        region_name=REGION,
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="secret",
    )


def queues():
    sqs = client("sqs")
    sqs.create_queue(QueueName="trail", Attributes={"MessageRetentionPeriod": "3600"})
    return sqs.create_queue(QueueName="events")["QueueUrl"]


def rule(state, services):
    events = client("events")
    pattern = {
        "detail-type": ["AWS API Call via CloudTrail", "AWS Console Sign In via CloudTrail"],
        "detail": {"eventSource": [f"{service}.amazonaws.com" for service in services]},
    }
    events.put_rule(Name="keywatch", EventPattern=json.dumps(pattern), State=state)
    events.put_targets(Rule="keywatch", Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:events"}])


def trail():
    client("s3").create_bucket(Bucket="logs", CreateBucketConfiguration={"LocationConstraint": REGION})
    cloudtrail = client("cloudtrail")
    cloudtrail.create_trail(
        Name="main", S3BucketName="logs", IsMultiRegionTrail=False, EnableLogFileValidation=False
    )
    cloudtrail.start_logging(Name="main")
    cloudtrail.put_event_selectors(
        TrailName="main",
        EventSelectors=[
            {
                "ReadWriteType": "WriteOnly",
                "IncludeManagementEvents": True,
                "DataResources": [],
                "ExcludeManagementEventSources": ["kms.amazonaws.com"],
            }
        ],
    )


if sys.argv[2] == "blind":
    print(queues())
    rule("ENABLED", [service for service in SERVICES if service != "iam"])
    trail()
elif sys.argv[2] == "off":
    client("cloudtrail").stop_logging(Name="main")
