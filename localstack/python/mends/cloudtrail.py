"""CloudTrail in MiniStack."""

import os

from ministack.services import cloudtrail, s3


def create_trail(body, original=cloudtrail._create_trail):
    """MiniStack loses tags and does not check the bucket, which it cannot see if S3 is LocalStack's."""
    elsewhere = "localstack" in os.environ["EMULATORS"]
    if (bucket := body.get("S3BucketName", "")) not in s3._buckets and not elsewhere:
        return cloudtrail._err("S3BucketDoesNotExistException", f"S3 bucket {bucket} does not exist!")
    answer = original(body)
    if answer[0] == 200:
        arn = cloudtrail._trail_arn(body["Name"].strip())
        cloudtrail._trail_tags[arn] = {tag["Key"]: tag.get("Value", "") for tag in body.get("TagsList", [])}
    return answer


cloudtrail._DISPATCH["CreateTrail"] = create_trail
