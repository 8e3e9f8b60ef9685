"""Load balancers, listeners and target groups in moto."""

from moto.elbv2.exceptions import (
    DuplicateListenerError,
    DuplicateLoadBalancerName,
    DuplicateTargetGroupName,
    ELBClientError,
    LoadBalancerNotFoundError,
)
from moto.elbv2.models import (
    ELBv2Backend,
    FakeAction,
    FakeHealthStatus,
    FakeLoadBalancer,
    FakeTargetGroup,
    elbv2_backends,
)
from moto.wafv2.models import wafv2_backends

from mends import replaces
from mends.conditions import CONDITIONS, later

# The hosted zones of load balancers, by region: AWS General Reference, Elastic Load Balancing endpoints.
ZONES = {"us-east-1": "Z35SXDOTRQ7X7K", "us-east-2": "Z3AADJGX6KTTL2", "us-west-2": "Z1H1FL5HABSF5"}


# The attributes of a new load balancer: API reference, LoadBalancerAttribute.
ATTRIBUTES = {
    "access_logs.s3.enabled": "false",
    "idle_timeout.timeout_seconds": "60",
    "load_balancing.cross_zone.enabled": "true",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http2.enabled": "true",
}
# The defaults of a redirect: API reference, RedirectActionConfig.
KEPT = {"Protocol": "#{protocol}", "Port": "#{port}", "Host": "#{host}", "Path": "/#{path}", "Query": "#{query}"}


def new_load_balancer(balancer, *arguments, original=FakeLoadBalancer.__init__, **named):
    """In moto, all load balancers have the same nonexistent hosted zone, and lack most attributes."""
    original(balancer, *arguments, **named)
    region = balancer.arn.split(":")[3]
    balancer.canonical_hosted_zone_id = ZONES.get(region, balancer.canonical_hosted_zone_id)
    balancer.attrs.update(ATTRIBUTES)


def new_action(action, data, original=FakeAction.__init__):
    """moto does not return the defaults of a redirect, and returns a single target group only in its original form."""
    if "RedirectConfig" in data:
        data["RedirectConfig"] = {**KEPT, **data["RedirectConfig"]}
    groups = data.get("ForwardConfig", {}).get("TargetGroups", [])
    if len(groups) == 1:
        data["TargetGroupArn"] = groups[0]["TargetGroupArn"]
    elif not groups and "TargetGroupArn" in data:
        data["ForwardConfig"] = {"TargetGroups": [{"TargetGroupArn": data["TargetGroupArn"]}]}
    original(action, data)


FakeLoadBalancer.__init__ = new_load_balancer
FakeAction.__init__ = new_action


@replaces(ELBv2Backend)
def create_load_balancer(original, backend, **arguments):
    """moto creates a second one with the same name."""
    for balancer in backend.load_balancers.values():
        if balancer.name != arguments["name"]:
            continue
        has = ([subnet.id for subnet in balancer.subnets], balancer.security_groups, balancer.scheme)
        wanted = (arguments["subnet_ids"], arguments["security_groups"], arguments["scheme"])
        if not same(has, wanted):
            raise DuplicateLoadBalancerName()
        return balancer
    return original(backend, **arguments)


@replaces(ELBv2Backend)
def describe_load_balancers(original, backend, arns, names):
    """If several are requested, moto returns another one for a missing one."""
    known = {balancer.arn for balancer in backend.load_balancers.values()}
    if set(arns or ()) - known:
        raise LoadBalancerNotFoundError()
    return original(backend, arns=arns, names=names)


@replaces(ELBv2Backend)
def delete_load_balancer(original, backend, arn):
    """moto deletes it although it is protected, and keeps its association with a web ACL."""
    balancer = backend.load_balancers.get(arn)
    if balancer and balancer.attrs.get("deletion_protection.enabled") == "true":
        message = f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
        raise ELBClientError("OperationNotPermitted", message)
    wafv2_backends[backend.account_id][backend.region_name].disassociate_web_acl(arn)
    return original(backend, arn=arn)


@replaces(ELBv2Backend)
def create_target_group(original, backend, name, kwargs):
    """moto rejects a second one with the same settings."""
    for group in backend.target_groups.values():
        if group.name != name:
            continue
        has = (group.vpc_id, group.protocol, group.port, group.target_type, group.health_check_path)
        wanted = ("vpc_id", "protocol", "port", "target_type", "healthcheck_path")
        if has != tuple(kwargs.get(key) for key in wanted):
            raise DuplicateTargetGroupName()
        return group
    return original(backend, name, **kwargs)


@replaces(ELBv2Backend)
def create_listener(original, backend, **arguments):
    """moto allows several on one port."""
    balancer = backend.load_balancers.get(arguments["load_balancer_arn"])
    for listener in balancer.listeners.values() if balancer else ():
        if listener.port != arguments["port"]:
            continue
        has = [listener.protocol, listener.certificate, [action.data for action in listener.default_actions]]
        actions = [FakeAction(action).data for action in arguments["actions"]]
        if has != [arguments["protocol"], arguments["certificate"], actions]:
            raise DuplicateListenerError()
        return listener
    return original(backend, **arguments)


@replaces(ELBv2Backend)
def add_tags(original, backend, resource_arns, tags):
    """moto allows ten tags instead of fifty."""
    for arn in resource_arns:
        backend._get_resource_by_arn(arn)
        backend.tagging_service.tag_resource(arn, tags)


# Targets

# The reasons and descriptions of the states: API reference, TargetHealth.
REASONS = {
    "draining": ("Target.DeregistrationInProgress", "Target deregistration is in progress"),
    "healthy": (None, None),
    "initial": ("Elb.InitialHealthChecking", "Initial health checks in progress"),
    "unhealthy": ("Target.FailedHealthChecks", "Health checks failed"),
    "unused": ("Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"),
}


def draining(group):
    """The targets of a group that are being deregistered, by id."""
    return group.__dict__.setdefault("draining_targets", {})


@replaces(FakeTargetGroup)
def register(original, group, targets):
    """A new target is healthy after its first health check.

    Two members are not AWS's: `Works` returns whether checks succeed, and `Task` is the task definition of a target
    that ECS has registered.
    """
    for target in targets:
        known = group.targets.get(target["Id"])
        original(group, targets=[target])
        draining(group).pop(target["Id"], None)
        registered = group.targets[target["Id"]]
        registered.update(Works=target.get("Works", lambda: True), Task=target.get("Task"))
        registered.update(Checked=bool(known and known["Checked"]))
        later(int(group.health_check_interval_seconds), lambda target=registered: target.update(Checked=True))


@replaces(FakeTargetGroup)
def deregister(original, group, targets):
    """A deregistered target finishes its requests during the deregistration delay."""
    for target in targets:
        leaving = group.targets.get(target["Id"])
        original(group, targets=[target])
        draining(group)[target["Id"]] = leaving
        later(deregistration_delay(group), lambda target=leaving: drained(group, target))


def deregistration_delay(group):
    """In seconds."""
    return int(group.attributes["deregistration_delay.timeout_seconds"])


def drained(group, target):
    # It may have been registered, and even deregistered, again.
    if draining(group).get(target["Id"]) is target:
        del draining(group)[target["Id"]]


def target_state(group, target):
    """The state of a target that is registered or draining."""
    if target["Id"] not in group.targets:
        return "draining"
    if not elbv2_backends[group.account_id][group.region_name]._any_listener_using(group.arn):
        return "unused"
    if not target["Checked"]:
        return "initial"
    works = CONDITIONS.is_healthy(group.name, group.arn)
    works = target["Works"]() if works is None else works
    return "healthy" if works and not CONDITIONS.is_down(group.region_name) else "unhealthy"


def healthy_targets(group):
    """The number of targets that get requests and respond."""
    return sum(target_state(group, target) == "healthy" for target in group.targets.values())


@replaces(FakeTargetGroup)
def health_for(original, group, target, ec2_backend):
    """In moto, all targets are healthy."""
    known = group.targets.get(target["Id"]) or draining(group).get(target["Id"])
    status = original(group, target=target, ec2_backend=ec2_backend)
    if known is None or status.status == "unused" and target["Id"] in group.targets:
        return status
    state = target_state(group, known)
    return FakeHealthStatus(known["Id"], known["Port"], group.health_check_port, state, *REASONS[state])


@replaces(ELBv2Backend)
def describe_target_health(original, backend, target_group_arn, targets):
    """Draining targets are described as well."""
    group = backend.target_groups.get(target_group_arn)
    if group and not targets:
        targets = [*group.targets.values(), *draining(group).values()]
        if not targets:
            return []
    return original(backend, target_group_arn=target_group_arn, targets=targets)


def same(one, other):
    """Whether the settings are equal; the order of lists does not matter."""
    return all(
        sorted(left) == sorted(right) if isinstance(left, list) else left == right for left, right in zip(one, other)
    )
