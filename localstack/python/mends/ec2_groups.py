"""Security groups of EC2 in moto."""

import copy

from moto.ec2.exceptions import DependencyViolationError
from moto.ec2.models import EC2Backend
from moto.ec2.models.security_groups import SecurityGroupRule

from mends import replaces
from mends.ec2_network import interfaces


@replaces(EC2Backend)
def delete_security_group(original, backend, name, group_id):
    """moto deletes groups that interfaces or other groups' rules use."""
    if group_id:
        rules = (
            rule
            for groups in backend.groups.values()
            for group in groups.values()
            if group.id != group_id
            for rule in (*group.ingress_rules, *group.egress_rules)
        )
        users = [rule for rule in rules if rule.source_group.get("GroupId") == group_id]
        if users or any(interfaces(backend, group=group_id)):
            raise DependencyViolationError(f"resource {group_id} has a dependent object")
    return original(backend, name=name, group_id=group_id)


@replaces(SecurityGroupRule)
def __eq__(original, rule, other):
    """moto treats rules that name a group as different if only their descriptions differ."""

    def bare(rule):
        plain = copy.copy(rule)
        plain.source_group = {key: value for key, value in rule.source_group.items() if key != "Description"}
        return plain

    return original(bare(rule), bare(other))


def rule_description(rule):
    """moto does not return the description of a rule that names a group."""
    return rule.ip_range.get("Description") or rule.source_group.get("Description")


SecurityGroupRule.description = property(rule_description)
# AWS's name for this member, which is missing.
SecurityGroupRule.group_owner_id = property(lambda rule: rule.owner_id)
