"""Blue/green deployments that ECS makes itself, in moto, which has none.

API reference: AdvancedConfiguration, ServiceDeployment, StopServiceDeployment; Developer Guide: Amazon ECS blue/green
deployments, Workflow for blue/green service deployments. New tasks start in the target group without requests; when
they are healthy, they get all requests; after the bake time, the old tasks stop.
"""

from moto.cloudwatch.models import cloudwatch_backends
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ecs.exceptions import ECSException, InvalidParameterException
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.elbv2.models import elbv2_backends
from moto.moto_api._internal import mock_random

from mends.conditions import later
from mends.ecs_rollouts import STEADY, STOP, STRATEGIES, Rollout, rollouts_of, show, tell

# The seconds between two looks at the alarms.
LOOK = 15

# The weights of the target groups with and without the requests.
ALL, NONE = 100, 0


def configuration_of(service):
    return getattr(service, "deployment_configuration", None) or {}


def deployments_of(service):
    """All service deployments, the newest first."""
    return service.__dict__.setdefault("service_deployments", [])


def advanced(balancer):
    return balancer.get("advancedConfiguration") or {}


def actions_of(backend, arn):
    """The actions of a rule, or of the default rule of a listener."""
    balancers = elbv2_backends[backend.account_id][backend.region_name].load_balancers.values()
    listeners = [listener for balancer in balancers for listener in balancer.listeners.values()]
    rules = [rule for listener in listeners for rule in listener.rules.values()]
    return next((rule.actions for rule in rules if rule.arn == arn), None)


def require_rules(backend, balancers):
    """A production rule exists, and only forwards."""
    for balancer in balancers or []:
        rule = advanced(balancer).get("productionListenerRule")
        if rule is None:
            continue
        actions = actions_of(backend, rule)
        if actions is None or any(action.type != "forward" for action in actions):
            raise InvalidParameterException(f"The production listener rule {rule} does not exist or does not forward.")


class BlueGreen(Rollout):
    """A deployment with tasks in the other target groups than those of the deployment before."""

    def __init__(self, backend, service):
        # A deployment in progress is superseded.
        for rollout in list(rollouts_of(service)):
            if isinstance(rollout, BlueGreen) and rollout.status == "IN_PROGRESS" and rollout.source:
                rollout.undo("STOPPED", "A new deployment of the service was started.")
        super().__init__(backend, service)
        self.source = next((rollout for rollout in rollouts_of(service) if rollout.state == "COMPLETED"), None)
        taken = {group.arn for group, _ in self.source.groups} if self.source else set()
        self.chosen = [self.choose(balancer, taken) for balancer in self.balancers]
        account, region = backend.account_id, backend.region_name
        name = f"{service.cluster_name}/{service.name}/{mock_random.get_random_hex(21)}"
        self.arn = f"arn:aws:ecs:{region}:{account}:service-deployment/{name}"
        self.status, self.stage, self.why, self.finished = "IN_PROGRESS", "SCALE_UP", None, None
        deployments_of(service).insert(0, self)

    def choose(self, balancer, taken):
        first, other = balancer.get("targetGroupArn"), advanced(balancer).get("alternateTargetGroupArn")
        return other if other and first in taken else first

    @property
    def groups(self):
        known = elbv2_backends[self.backend.account_id][self.backend.region_name].target_groups
        named = [
            (known.get(arn), balancer["containerPort"])
            for arn, balancer in zip(getattr(self, "chosen", []), self.balancers)
        ]
        return [(group, port) for group, port in named if group]

    def make_room(self):
        """The old tasks stay until the end."""

    def shift_to(self, rollout):
        """Gives the target groups of a deployment all requests."""
        chosen = {group.arn for group, _ in rollout.groups}
        for balancer in self.balancers:
            names = (balancer.get("targetGroupArn"), advanced(balancer).get("alternateTargetGroupArn"))
            for action in actions_of(self.backend, advanced(balancer).get("productionListenerRule")) or ():
                for group in action.data["ForwardConfig"]["TargetGroups"]:
                    if group["TargetGroupArn"] in names:
                        group["Weight"] = ALL if group["TargetGroupArn"] in chosen else NONE

    def check(self):
        """Gives the new tasks the requests if they are healthy."""
        if not self.continues() or self.stage != "SCALE_UP":
            return
        if not self.is_healthy():
            self.fail()
            return
        self.shift_to(self)
        self.stage = "BAKE_TIME"
        later(60 * configuration_of(self.service).get("bakeTimeInMinutes", 0), self.clean_up)
        if self.alarms():
            later(LOOK, self.look, at_least=0.05)
        show(self.backend, self.service)

    def continues(self):
        """Whether it is in progress; an alarm that fires rolls it back."""
        if not self.is_current or self.status != "IN_PROGRESS":
            return False
        known = cloudwatch_backends[self.backend.account_id][self.backend.region_name].alarms
        firing = [name for name in self.alarms() if name in known and known[name].state_value == "ALARM"]
        if firing:
            self.become("FAILED", f"ECS deployment alarms: {', '.join(firing)} fired.")
            self.undo("ROLLBACK_SUCCESSFUL", f"Service deployment rolled back because of alarms: {', '.join(firing)}.")
        return not firing

    def alarms(self):
        alarms = configuration_of(self.service).get("alarms") or {}
        return alarms.get("alarmNames", []) if alarms.get("enable") and alarms.get("rollback") else []

    def look(self):
        if self.continues() and self.stage == "BAKE_TIME":
            later(LOOK, self.look, at_least=0.05)

    def clean_up(self):
        """Stops the old tasks."""
        if not self.continues():
            return
        self.stage = "CLEAN_UP"
        old = [rollout for rollout in rollouts_of(self.service) if rollout is not self]
        waits = [rollout.stop() for rollout in old]
        later(max(waits, default=0) + STEADY, lambda: self.complete(old))
        show(self.backend, self.service)

    def complete(self, old):
        super().complete(old)
        if self.state == "COMPLETED" and self.status == "IN_PROGRESS":
            self.end("SUCCESSFUL", None)

    def end(self, status, why):
        self.status, self.why, self.finished = status, why, utcnow()

    def roll_back(self):
        """After the circuit breaker has stopped it."""
        why = "Service deployment rolled back because the circuit breaker threshold was exceeded."
        self.undo("ROLLBACK_SUCCESSFUL", why)

    def undo(self, status, why):
        """Returns the requests to the tasks of the deployment before, and stops the own ones."""
        source, rollouts = self.source, rollouts_of(self.service)
        if source not in rollouts:
            self.become("FAILED", "ECS deployment cannot be rolled back: there is none before.")
            self.stop()
            self.end("ROLLBACK_FAILED" if status != "STOPPED" else status, why)
            show(self.backend, self.service)
            return
        self.status = "ROLLBACK_IN_PROGRESS"
        self.shift_to(source)
        gone = self.stop()
        rollouts[:] = [source, *(rollout for rollout in rollouts if rollout not in (self, source))]
        self.service.task_definition = source.task_definition
        self.service.network_configuration = source.network
        self.service.load_balancers = source.balancers
        tell(self.service, f"(deployment {self.identifier}) deployment failed: {why}")
        # Auto scaling may have changed the number meanwhile.
        later(0, source.start)
        if status == "STOPPED":
            self.end(status, why)
        else:
            later(gone or STOP, lambda: self.end(status, why))
        show(self.backend, self.service)

    def details(self):
        rolled = self.status.startswith("ROLLBACK")
        return {
            **self.brief(),
            "updatedAt": self.updated,
            "stoppedAt": self.finished if rolled else None,
            "lifecycleStage": self.stage,
            "deploymentConfiguration": configuration_of(self.service),
        }

    def brief(self):
        return {
            "serviceDeploymentArn": self.arn,
            "serviceArn": self.service.arn,
            "clusterArn": self.service.cluster_arn,
            "createdAt": self.created,
            "startedAt": self.created,
            "finishedAt": self.finished,
            "status": self.status,
            "statusReason": self.why,
        }


STRATEGIES["BLUE_GREEN"] = BlueGreen


def list_service_deployments(response):
    names = (response._get_param("cluster", "default"), response._get_param("service"))
    service = response.ecs_backend._get_service(*names)
    wanted = response._get_param("status")
    found = [it.brief() for it in deployments_of(service) if not wanted or it.status in wanted]
    return ActionResult({"serviceDeployments": found})


def find(response, arn):
    services = response.ecs_backend.services.values()
    return next((it for service in services for it in deployments_of(service) if it.arn == arn), None)


def describe_service_deployments(response):
    asked = {arn: find(response, arn) for arn in response._get_param("serviceDeploymentArns")}
    return ActionResult({
        "serviceDeployments": [it.details() for it in asked.values() if it],
        "failures": [{"arn": arn, "reason": "MISSING"} for arn, it in asked.items() if it is None],
    })


def stop_service_deployment(response):
    deployment = find(response, response._get_param("serviceDeploymentArn"))
    if deployment is None:
        raise ECSException("ServiceDeploymentNotFoundException", "Service deployment not found.")
    if deployment.status != "IN_PROGRESS" or deployment.stage == "CLEAN_UP":
        message = f"The service deployment cannot be stopped: it is {deployment.status} in {deployment.stage}."
        raise ECSException("ConflictException", message)
    deployment.become("FAILED", "stopped by a user.")
    deployment.undo("ROLLBACK_SUCCESSFUL", "Service deployment stopped by a user request.")
    return ActionResult({"serviceDeploymentArn": deployment.arn})


for action in (list_service_deployments, describe_service_deployments, stop_service_deployment):
    setattr(EC2ContainerServiceResponse, action.__name__, action)
