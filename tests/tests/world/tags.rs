//! Tags of others.

use payinfra_tests::Bench;

use crate::World;
use crate::changes::resources_are_tagged;

/// Tags that the configuration ignores are neither drift, nor removed by an update: not even by those that write all tags of
/// a bucket.
#[tokio::test(flavor = "multi_thread")]
async fn resources_are_tagged_and_ignored() {
    let tags = "[defaults]\ntags = { Team = \"first\" }\nignore_tags = [\"org:*\"]\n";
    let world = World::with("legacy", "[defaults]\n", tags).await;
    resources_are_tagged(&world).await;
    world.is_settled();
    world.configure("Team = \"first\"", "Team = \"second\"");
    world.run(&["apply", "--yes"]).ok();
    world.is_settled();
    assert_eq!(tags_of_bucket(&world).await, ["second", "payments"]);
    // They are no longer ignored.
    world.configure("ignore_tags = [\"org:*\"]\n", "");
    assert_eq!(world.drift().len(), 4);
    world.configure("tags = { Team", "ignore_tags = [\"org:*\"]\ntags = { Team");
    world.destroy();
}

/// Ours, and that of the organization.
async fn tags_of_bucket(world: &World) -> [String; 2] {
    let bucket = world.id("us-east-1/s3.bucket/access-logs");
    let found = world.bench.s3("us-east-1").get_bucket_tagging().bucket(bucket).send().await.unwrap().tag_set;
    let value = |key: &str| found.iter().find(|tag| tag.key() == key).map(|tag| tag.value().to_owned());
    ["Team", "org:owner"].map(|key| value(key).unwrap_or_default())
}

/// A tag of ours that is handed over to the organization is left as it is: the next apply only records that.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_is_handed_over_is_left_alone() {
    let tags = "[defaults]\ntags = { \"org:owner\" = \"payments\", Team = \"first\" }\n";
    let world = World::with("legacy", "[defaults]\n", tags).await;
    world.configure("\"org:owner\" = \"payments\", ", "");
    world.configure("[defaults]\n", "[defaults]\nignore_tags = [\"org:*\"]\n");
    world.is_settled_after_apply();
    assert_eq!(tags_of_bucket(&world).await, ["first", "payments"]);
    world.destroy();
}

/// A pattern that matches a tag of ours is refused before any call.
#[tokio::test(flavor = "multi_thread")]
async fn patterns_that_match_our_tags_are_refused() {
    let bench = Bench::new().await;
    let configuration = bench.configuration();
    for (lines, told) in [
        ("ignore_tags = [\"*\"]", "matches the tag `"),
        ("ignore_tags = [\"Env*\"]", "matches the tag `Environment`, which payinfra sets"),
        ("ignore_tags = [\"payinfra:*\"]", "matches the tag `payinfra:address`"),
        ("ignore_tags = [\"Cutover*\"]", "matches the tag `CutoverTimestamp`"),
        ("ignore_tags = [\"org:*\"]\ntags = { \"org:a\" = \"b\" }", "matches the tag `org:a`"),
        ("ignore_tags = [\"\"]", "a pattern in `ignore_tags` is empty"),
        ("ignore_tags = [\"org|*\"]", "has the character '|'"),
    ] {
        bench.configure(&configuration.replace("[defaults]\n", &format!("[defaults]\n{lines}\n")));
        let refused = bench.run(&["validate"]);
        assert_ne!(refused.code, Some(0), "{lines}");
        assert!(refused.stderr.contains(told), "`{told}` is not in:\n{}", refused.stderr);
    }
    assert_eq!(bench.aws.calls(), []);
}
