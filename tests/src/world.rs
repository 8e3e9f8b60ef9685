//! What AWS or somebody else changes, and what payinfra is expected to do: `tests/world` makes each change, and
//! `tests/requirements` writes the table into `README.md`.

/// A change that was not made with payinfra.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// The name of the function that makes it.
    pub name: &'static str,
    /// What happens.
    pub about: &'static str,
    /// What payinfra does.
    pub expected: Expected,
}

/// What is expected after a change.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// `drift` and `plan` show nothing, apply and destroy succeed.
    Nothing,
    /// `drift` shows exactly these fields of these resources, apply reverts them, and destroy succeeds. Without a field, the
    /// resource no longer exists.
    Drift(&'static [(&'static str, &'static str)]),
    /// Something else.
    Otherwise(&'static str),
}

impl Change {
    /// Its row in the table.
    #[must_use]
    pub fn row(&self) -> String {
        let Self { name, about, .. } = self;
        let expected = match self.expected {
            Expected::Nothing => "nothing; apply and destroy succeed".to_owned(),
            Expected::Drift(fields) => {
                let fields = fields.iter().map(|(address, field)| match *field {
                    "" => format!("`{address}` no longer exists"),
                    field => format!("`{address}`: `{field}`"),
                });
                format!("drift, which apply reverts: {}", fields.collect::<Vec<_>>().join("; "))
            }
            Expected::Otherwise(text) => text.to_owned(),
        };
        format!("| {about} | {expected} | `{name}` |\n")
    }
}

/// All changes, with the expectations.
pub const CHANGES: &[Change] = &[
    Change { name: "zone_is_impaired", about: "an availability zone is impaired", expected: Expected::Nothing },
    Change {
        name: "database_is_upgraded",
        about: "AWS upgrades the database to a higher minor version",
        expected: Expected::Nothing,
    },
    Change {
        name: "service_is_scaled",
        about: "auto scaling changes the number of tasks",
        expected: Expected::Nothing,
    },
    Change {
        name: "revision_is_registered",
        about: "a pipeline registers a revision of the task definition",
        expected: Expected::Nothing,
    },
    Change { name: "secret_is_rotated", about: "the database's password is rotated", expected: Expected::Nothing },
    Change { name: "certificate_is_renewed", about: "AWS renews a certificate", expected: Expected::Nothing },
    Change { name: "alarm_is_raised", about: "an alarm changes its state", expected: Expected::Nothing },
    Change {
        name: "group_refers_to_ours",
        about: "a rule of somebody's security group refers to ours",
        expected: Expected::Otherwise(
            "no drift; apply succeeds; destroy waits until the rule is gone, and names the group when its time is over",
        ),
    },
    Change {
        name: "writer_is_switched_over",
        about: "somebody switches the global database over to the other region",
        expected: Expected::Otherwise("no drift; plan notes the writer's region; apply and destroy succeed"),
    },
    Change {
        name: "writer_is_failed_over",
        about: "somebody fails the global database over, with loss of data",
        expected: Expected::Otherwise("no drift; plan notes the writer's region; apply and destroy succeed"),
    },
    Change {
        name: "version_goes_down",
        about: "AWS upgrades the database, and the configuration then asks for a lower version than before",
        expected: Expected::Otherwise("plan refuses it; a version between the two is recorded without a call to RDS"),
    },
    Change {
        name: "resources_are_tagged",
        about: "an organization's tagger adds a tag",
        expected: Expected::Drift(&[
            ("us-east-1/cloudwatch.alarm/latency", "tags.org:owner"),
            ("us-east-1/ec2.vpc/main", "tags.org:owner"),
            ("us-east-1/logs.log-group/service", "tags.org:owner"),
            ("us-east-1/s3.bucket/access-logs", "tags.org:owner"),
        ]),
    },
    Change {
        name: "resources_are_tagged_and_ignored",
        about: "the same with `ignore_tags = [\"org:*\"]`",
        expected: Expected::Otherwise("nothing; apply and destroy succeed, and no update removes the tag"),
    },
    Change {
        name: "rule_is_added",
        about: "somebody adds a rule to a security group",
        expected: Expected::Drift(&[("us-east-1/ec2.security-group/service", "ingress")]),
    },
    Change {
        name: "revision_is_deployed",
        about: "a pipeline deploys its revision of the task definition",
        expected: Expected::Drift(&[("us-east-1/ecs.service/service-blue", "task_definition")]),
    },
    Change {
        name: "bucket_policy_is_edited",
        about: "somebody edits a bucket policy",
        expected: Expected::Drift(&[("us-east-1/s3.bucket/transactions", "policy")]),
    },
    Change {
        name: "retention_is_changed",
        about: "somebody changes the retention of logs",
        expected: Expected::Drift(&[("us-east-1/logs.log-group/flow-logs", "retention_days")]),
    },
    Change {
        name: "parameter_is_changed",
        about: "somebody changes a parameter of the database",
        expected: Expected::Drift(&[("us-east-1/rds.cluster-parameter-group/database-16", "parameters.rds.force_ssl")]),
    },
    Change {
        name: "policy_is_attached",
        about: "somebody attaches a policy to a role",
        expected: Expected::Drift(&[("global/iam.role/ecs-task-us-east-1", "managed")]),
    },
    Change {
        name: "rotation_is_disabled",
        about: "somebody disables the rotation of a key",
        expected: Expected::Drift(&[("us-east-2/kms.key/storage", "rotation")]),
    },
    Change {
        name: "alarm_is_deleted",
        about: "somebody deletes an alarm",
        expected: Expected::Drift(&[("us-east-2/cloudwatch.alarm/replica-lag", "")]),
    },
    Change {
        name: "change_is_declared",
        about: "somebody changes the retention of logs, and the configuration follows",
        expected: Expected::Otherwise("drift, which the next apply records without a call; then nothing"),
    },
    Change {
        name: "log_group_is_recreated",
        about: "a service creates its log group again after the destroy",
        expected: Expected::Otherwise(
            "apply names it, with the command that imports it; then apply and destroy succeed",
        ),
    },
];
