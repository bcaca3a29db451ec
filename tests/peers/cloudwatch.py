"""Looks into, and changes by hand, what stands in a server that plays CloudWatch.

    cloudwatch.py ENDPOINT alarms           every alarm, as JSON
    cloudwatch.py ENDPOINT foreign          makes an alarm SecretAccessAnomaly as somebody else would
    cloudwatch.py ENDPOINT threshold N      changes the threshold of SecretAccessAnomaly
    cloudwatch.py ENDPOINT accesses LEVEL   the sum of SecretAccessCount of a level, over all time
"""

import datetime
import json
import sys

import boto3

cloudwatch = boto3.client(
    "cloudwatch",
    endpoint_url=sys.argv[1],
    region_name="eu-west-1",
    aws_access_key_id="AKIAEXAMPLE",
    aws_secret_access_key="secret",
)
NAME = "SecretAccessAnomaly"


def alarms():
    return cloudwatch.describe_alarms()["MetricAlarms"]


if sys.argv[2] == "alarms":
    print(json.dumps(alarms(), default=str))
elif sys.argv[2] == "foreign":
    cloudwatch.put_metric_alarm(
        AlarmName=NAME, Namespace="Theirs", MetricName="Other", Statistic="Average", Period=60,
        EvaluationPeriods=3, Threshold=1, ComparisonOperator="LessThanThreshold",
    )
elif sys.argv[2] == "threshold":
    found = alarms()[0]
    keys = ["AlarmName", "Namespace", "MetricName", "Statistic", "Period", "EvaluationPeriods",
            "ComparisonOperator", "AlarmActions"]
    cloudwatch.put_metric_alarm(**{key: found[key] for key in keys}, Threshold=float(sys.argv[3]))
else:
    now = datetime.datetime.now(datetime.timezone.utc)
    found = cloudwatch.get_metric_statistics(
        Namespace="MyApp/Security",
        MetricName="SecretAccessCount",
        Dimensions=[{"Name": "Level", "Value": sys.argv[3]}],
        StartTime=now - datetime.timedelta(days=1),
        EndTime=now + datetime.timedelta(hours=1),
        Period=60,
        Statistics=["Sum"],
    )
    print(int(sum(point["Sum"] for point in found["Datapoints"])))
