"""Application Auto Scaling in moto: tags, and errors for missing resources."""

import json

from moto.applicationautoscaling.models import (
    ApplicationAutoscalingBackend,
    FakeApplicationAutoscalingPolicy,
)
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.core.exceptions import JsonRESTError
from moto.ecs.exceptions import ClusterNotFoundException

from mends import ecs_rollouts as rollouts
from mends import replaces


class AutoScalingError(JsonRESTError):
    """An error with the type at the start of its name, as in AWS's responses."""

    def __init__(self, code, message):
        super().__init__(code, message)


def missing(what, service_namespace, resource_id, scalable_dimension):
    return AutoScalingError(
        "ObjectNotFoundException",
        f"No {what} found for service namespace: {service_namespace}, resource ID: {resource_id}, "
        f"scalable dimension: {scalable_dimension}",
    )


def policies(backend, namespace, resource, dimension):
    key = (namespace, resource, dimension)
    return [
        policy
        for policy in backend.policies.values()
        if (policy.service_namespace, policy.resource_id, policy.scalable_dimension) == key
    ]


@replaces(ApplicationAutoscalingBackend)
def _ecs_service_exists_for_target(original, backend, r_id):
    """moto accepts inactive services, which can be described but not scaled."""
    parts = r_id.split("/")
    try:
        found, _ = backend.ecs_backend.describe_services(parts[1], [parts[-1]]) if len(parts) == 3 else ([], [])
    except ClusterNotFoundException:
        found = []
    if not any(service.status == "ACTIVE" for service in found):
        raise AutoScalingError("ValidationException", f"ECS service doesn't exist: {r_id}")
    return True


@replaces(ApplicationAutoscalingBackend)
def deregister_scalable_target(original, backend, **arguments):
    """Policies are deleted with their target, and alarms with their policy."""
    namespace, resource, dimension = arguments["namespace"], arguments["r_id"], arguments["dimension"]
    if not backend._scalable_target_exists(resource, dimension):
        raise missing("scalable target", namespace, resource, dimension)
    for policy in policies(backend, namespace, resource, dimension):
        backend.delete_scaling_policy(policy.policy_name, namespace, resource, dimension)
    original(backend, **arguments)


@replaces(ApplicationAutoscalingBackend)
def put_scaling_policy(original, backend, **arguments):
    """A policy requires its target; an updated one keeps its ARN, and its old alarms are deleted."""
    namespace, resource = arguments["service_namespace"], arguments["resource_id"]
    dimension, name = arguments["scalable_dimension"], arguments["policy_name"]
    if not backend._scalable_target_exists(resource, dimension):
        raise missing("scalable target", namespace, resource, dimension)
    key = FakeApplicationAutoscalingPolicy.formulate_key(namespace, resource, dimension, name)
    before = backend.policies.get(key)
    policy = original(backend, **arguments)
    if before is not None:
        before.delete_alarms(backend.account_id, backend.region_name)
        policy.policy_arn, policy.creation_time = before.policy_arn, before.creation_time
    return policy


@replaces(ApplicationAutoscalingBackend)
def delete_scaling_policy(original, backend, **arguments):
    where = (arguments["service_namespace"], arguments["resource_id"], arguments["scalable_dimension"])
    if not any(policy.policy_name == arguments["policy_name"] for policy in policies(backend, *where)):
        raise missing("scaling policy", *where)
    return original(backend, **arguments)


def target_of(response):
    """The target of a call about tags."""
    arn = response._get_param("ResourceARN")
    backend = response.applicationautoscaling_backend
    for targets in backend.targets.values():
        for target in targets.values():
            if target.arn == arn:
                target.tags = getattr(target, "tags", {})
                return target
    raise AutoScalingError("ResourceNotFoundException", f"The resource {arn} does not exist")


def register_scalable_target(response, original=ApplicationAutoScalingResponse.register_scalable_target):
    """Tags are set only by the first registration. A service outside of the range is scaled into it."""
    backend = response.applicationautoscaling_backend
    resource, dimension = response._get_param("ResourceId"), response._get_param("ScalableDimension")
    known = backend._scalable_target_exists(resource, dimension)
    answer = original(response)
    if not known:
        backend.targets[dimension][resource].tags = dict(response._get_param("Tags") or {})
    if dimension == "ecs:service:DesiredCount":
        scale_into_range(backend, backend.targets[dimension][resource])
    return answer


def scale_into_range(backend, target):
    _, cluster, name = target.resource_id.split("/")
    service = backend.ecs_backend._get_service(cluster, name)
    wanted = min(max(service.desired_count, target.min_capacity), target.max_capacity)
    if wanted != service.desired_count:
        service.desired_count = wanted
        rollouts.scale(backend.ecs_backend, service)


def list_tags_for_resource(response):
    return json.dumps({"Tags": target_of(response).tags})


def tag_resource(response):
    target_of(response).tags.update(response._get_param("Tags") or {})
    return "{}"


def untag_resource(response):
    tags = target_of(response).tags
    for key in response._get_param("TagKeys") or []:
        tags.pop(key, None)
    return "{}"


for method in (register_scalable_target, list_tags_for_resource, tag_resource, untag_resource):
    setattr(ApplicationAutoScalingResponse, method.__name__, method)
