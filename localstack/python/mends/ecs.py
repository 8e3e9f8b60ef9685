"""ECS in moto: running services, revision numbers that are not reused, duplicate names."""

from moto.ecs.exceptions import ECSException, InvalidParameterException
from moto.ecs.models import EC2ContainerServiceBackend
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.elbv2.models import elbv2_backends

from mends import ecs_rollouts as rollouts
from mends import replaces
from mends.ecs_blue_green import require_rules
from mends.ecs_rollouts import active


@replaces(EC2ContainerServiceBackend)
def create_cluster(original, backend, **arguments):
    """An existing cluster is returned unchanged."""
    existing = backend.clusters.get(arguments["cluster_name"])
    return existing if active(existing) else original(backend, **arguments)


@replaces(EC2ContainerServiceBackend)
def list_clusters(_original, backend):
    return [cluster.arn for cluster in backend.clusters.values() if active(cluster)]


@replaces(EC2ContainerServiceBackend)
def _get_cluster(original, backend, name):
    """moto allows the use of inactive clusters."""
    cluster = original(backend, name=name)
    if not active(cluster):
        raise ECSException("ClusterNotFoundException", "The referenced cluster was inactive.")
    return cluster


@replaces(EC2ContainerServiceBackend)
def _get_resource(original, backend, resource_arn, parsed_arn):
    """moto allows the tags of an inactive cluster to be read and changed."""
    if parsed_arn["service"] == "cluster":
        cluster = backend.clusters.get(parsed_arn["id"])
        if cluster and not active(cluster):
            message = "The specified cluster is inactive. Specify an active cluster and try again."
            raise InvalidParameterException(message)
    return original(backend, resource_arn=resource_arn, parsed_arn=parsed_arn)


@replaces(EC2ContainerServiceBackend)
def delete_cluster(original, backend, **arguments):
    name = arguments["cluster_str"].split("/")[-1]
    # AWS's response to a second delete is not documented: it is the same as the first here.
    if name in backend.clusters and not active(backend.clusters[name]):
        return backend.clusters[name]
    cluster = backend._get_cluster(name)
    if any(active(service) for service in backend.services.values() if service.cluster_name == cluster.name):
        raise ECSException(
            "ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active."
        )
    return original(backend, **arguments)


@replaces(EC2ContainerServiceBackend)
def delete_task_definitions(original, backend, **arguments):
    """The number of a deleted revision is never reused."""
    deleted, failures = original(backend, **arguments)
    for definition in deleted:
        backend.task_definitions[definition.family][definition.revision] = definition
    return deleted, failures


@replaces(EC2ContainerServiceBackend)
def list_services(original, backend, **arguments):
    """Deleted services are described, but not listed."""
    gone = {service.arn for service in backend.services.values() if not active(service)}
    return [arn for arn in original(backend, **arguments) if arn not in gone]


def require_listeners(backend, balancers):
    elbv2 = elbv2_backends[backend.account_id][backend.region_name]
    for arn in [balancer.get("targetGroupArn") for balancer in balancers or []]:
        if not elbv2._any_listener_using(arn):
            raise InvalidParameterException(
                f"The target group with targetGroupArn {arn} does not have an associated load balancer."
            )
    require_rules(backend, balancers)


@replaces(EC2ContainerServiceBackend)
def create_service(original, backend, **arguments):
    cluster = backend._get_cluster(arguments["cluster_str"])
    existing = backend.services.get(f"{cluster.name}:{arguments['service_name']}")
    if active(existing):
        raise InvalidParameterException("Creation of service was not idempotent.")
    require_listeners(backend, arguments["load_balancers"])
    return original(backend, **arguments)


@replaces(EC2ContainerServiceBackend)
def update_service(original, backend, **arguments):
    """Another task definition, network or load balancer starts another deployment."""
    wanted = arguments["service_properties"]
    service = backend._get_service(wanted.get("cluster", "default"), wanted["service"])
    if not active(service):
        raise ECSException("ServiceNotActiveException", "Service was not ACTIVE.")
    if wanted.get("task_definition"):
        wanted["task_definition"] = backend.describe_task_definition(wanted["task_definition"]).arn
    require_listeners(backend, wanted.get("load_balancers"))
    merge(service, wanted)
    deployed = ("task_definition", "network_configuration", "load_balancers", "platform_version")
    was = [getattr(service, name, None) for name in deployed]
    forced = wanted.pop("force_new_deployment", False)
    original(backend, **arguments)
    if forced or was != [getattr(service, name, None) for name in deployed]:
        rollouts.deploy(backend, service)
    else:
        rollouts.scale(backend, service)
    return service


def merge(service, wanted):
    """The parts of the deployment configuration that an update omits stay unchanged."""
    if wanted.get("deployment_configuration"):
        before = getattr(service, "deployment_configuration", None) or {}
        wanted["deployment_configuration"] = before | wanted["deployment_configuration"]


@replaces(EC2ContainerServiceBackend)
def delete_service(original, backend, **arguments):
    service = backend._get_service(arguments["cluster_name"], arguments["service_name"])
    if not active(service):
        raise ECSException("ServiceNotFoundException", "Service not found.")
    original(backend, **arguments)
    rollouts.stop(backend, service)
    return service


def list_task_definitions(response, original=EC2ContainerServiceResponse.list_task_definitions):
    result = original(response)
    if response._get_param("sort") == "DESC":
        result.result["taskDefinitionArns"].reverse()
    return result


EC2ContainerServiceResponse.list_task_definitions = list_task_definitions

# moto drops these when a service is created, and keeps them when it is updated.
KEPT = {
    "deploymentConfiguration": "deployment_configuration",
    "enableECSManagedTags": "enable_ecs_managed_tags",
    "enableExecuteCommand": "enable_execute_command",
    "healthCheckGracePeriodSeconds": "health_check_grace_period_seconds",
}


def create_service_kept(response, original=EC2ContainerServiceResponse.create_service):
    result = original(response)
    service = result.result["service"]
    service.deployment_configuration = {"maximumPercent": 200, "minimumHealthyPercent": 100}
    wanted = {name: response._get_param(parameter) for parameter, name in KEPT.items()}
    merge(service, wanted)
    for name, value in wanted.items():
        if value is not None:
            setattr(service, name, value)
    rollouts.deploy(response.ecs_backend, service)
    return result


EC2ContainerServiceResponse.create_service = create_service_kept
