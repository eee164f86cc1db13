//! Messages.

use super::Arity::AtLeast;
use super::Arity::Exactly;
use super::CHANNEL;
use super::Categories;
use super::Command;
use super::Flags;
use super::Gather;
use super::Group;
use super::Keys;
use super::LOADING;
use super::LOADING_FAST;
use super::Rows;
use super::SESSION;
use crate::protocol::TopicKind;

const PUBSUB: Rows = Rows(Group::PubSub);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    PUBSUB.keyless("psubscribe", AtLeast(2), SESSION.and(Flags::PUBSUB), "2.0.0",
        "Listens to the channels that match patterns.")
        .subscribes(TopicKind::Pattern),
    PUBSUB.keyless("publish", Exactly(3), LOADING_FAST.and(Flags::PUBSUB), "2.0.0",
        "Sends a message to a channel.")
        .publishes(),
    PUBSUB.container("pubsub", "2.8.0", "Commands about channels.", &[
        PUBSUB.keyless("pubsub|channels", AtLeast(2), LOADING.and(Flags::PUBSUB), "2.8.0",
            "Lists the channels in use.")
            .ask_all(Gather::Union),
        PUBSUB.help("pubsub|help", "6.2.0").not_in(Categories::PUBSUB),
        PUBSUB.keyless("pubsub|numpat", Exactly(2), LOADING.and(Flags::PUBSUB), "2.8.0",
            "Counts the patterns subscribed to.")
            .ask_all(Gather::Max),
        PUBSUB.keyless("pubsub|numsub", AtLeast(2), LOADING.and(Flags::PUBSUB), "2.8.0",
            "Counts the subscribers of channels.")
            .ask_all(Gather::Counts),
        PUBSUB.keyless("pubsub|shardchannels", AtLeast(2), LOADING.and(Flags::PUBSUB), "7.0.0",
            "Lists the shard channels in use.")
            .ask_all(Gather::Union),
        PUBSUB.keyless("pubsub|shardnumsub", AtLeast(2), LOADING.and(Flags::PUBSUB), "7.0.0",
            "Counts the subscribers of shard channels.")
            .ask_all(Gather::Counts),
    ]),
    PUBSUB.keyless("punsubscribe", AtLeast(1), SESSION.and(Flags::PUBSUB), "2.0.0",
        "Stops listening to patterns.")
        .unsubscribes(TopicKind::Pattern),
    PUBSUB.keyless("spublish", Exactly(3), LOADING_FAST.and(Flags::PUBSUB), "7.0.0",
        "Sends a message to a shard channel.")
        .with_keys(Keys::one(CHANNEL)).publishes(),
    PUBSUB.keyless("ssubscribe", AtLeast(2), SESSION.and(Flags::PUBSUB), "7.0.0",
        "Listens to shard channels.")
        .with_keys(Keys::range(1, -1, 1, CHANNEL)).subscribes(TopicKind::Shard),
    PUBSUB.keyless("subscribe", AtLeast(2), SESSION.and(Flags::PUBSUB), "2.0.0",
        "Listens to channels.")
        .subscribes(TopicKind::Channel),
    PUBSUB.keyless("sunsubscribe", AtLeast(1), SESSION.and(Flags::PUBSUB), "7.0.0",
        "Stops listening to shard channels.")
        .with_keys(Keys::range(1, -1, 1, CHANNEL)).unsubscribes(TopicKind::Shard),
    PUBSUB.keyless("unsubscribe", AtLeast(1), SESSION.and(Flags::PUBSUB), "2.0.0",
        "Stops listening to channels.")
        .unsubscribes(TopicKind::Channel),
];
