//! Redis Cluster, which the servers behind a proxy are not.

use super::ADMIN;
use super::Arity::AtLeast;
use super::Arity::Exactly;
use super::Categories;
use super::Command;
use super::FAST;
use super::Group;
use super::LOADING;
use super::LOADING_FAST;
use super::NO_ASYNC_LOADING;
use super::NOSCRIPT;
use super::Refusal;
use super::Rows;
use super::STALE;
use super::VARIES;

const CLUSTER: Rows = Rows(Group::Cluster);

/// Laid out by hand: a row takes as few lines as it can.
#[rustfmt::skip]
pub(super) static ROWS: &[Command] = &[
    CLUSTER.keyless("asking", Exactly(1), FAST, "3.0.0",
        "Lets the next command use a slot that is being imported.")
        .refuse(Refusal::ClusterDisabled).also(Categories::CONNECTION),
    CLUSTER.container("cluster", "3.0.0", "Commands of Redis Cluster.", &[
        CLUSTER.keyless("cluster|addslots", AtLeast(3),
            ADMIN.and(STALE).and(NO_ASYNC_LOADING), "3.0.0", "Assigns slots to a member.")
            .refuse(Refusal::ClusterDisabled),
        CLUSTER.keyless("cluster|addslotsrange", AtLeast(4),
            ADMIN.and(STALE).and(NO_ASYNC_LOADING), "7.0.0",
            "Assigns ranges of slots to a member.")
            .refuse(Refusal::ClusterDisabled),
        CLUSTER.keyless("cluster|bumpepoch", Exactly(2),
            ADMIN.and(STALE).and(NO_ASYNC_LOADING), "3.0.0",
            "Moves the configuration epoch forward.")
            .refuse(Refusal::ClusterDisabled).tips(VARIES),
        CLUSTER.keyless("cluster|count-failure-reports", Exactly(3), ADMIN.and(STALE), "3.0.0",
            "Counts the reports that a member has failed.")
            .refuse(Refusal::ClusterDisabled).tips(VARIES),
        CLUSTER.keyless("cluster|countkeysinslot", Exactly(3), STALE, "3.0.0",
            "Counts the keys in a slot.")
            .refuse(Refusal::ClusterDisabled),
        CLUSTER.keyless("cluster|delslots", AtLeast(3),
            ADMIN.and(STALE).and(NO_ASYNC_LOADING), "3.0.0", "Unassigns slots.")
            .refuse(Refusal::ClusterDisabled),
        CLUSTER.keyless("cluster|delslotsrange", AtLeast(4),
            ADMIN.and(STALE).and(NO_ASYNC_LOADING), "7.0.0", "Unassigns ranges of slots.")
            .refuse(Refusal::ClusterDisabled),
        CLUSTER.keyless("cluster|failover", AtLeast(2),
            ADMIN.and(STALE).and(NO_ASYNC_LOADING), "3.0.0",
            "Makes a replica take over from its master.")
            .refuse(Refusal::ClusterDisabled),
        CLUSTER.keyless("cluster|flushslots", Exactly(2),
            ADMIN.and(STALE).and(NO_ASYNC_LOADING), "3.0.0", "Makes a member forget its slots.")
            .refuse(Refusal::ClusterDisabled),
        CLUSTER.keyless("cluster|forget", Exactly(3),
            ADMIN.and(STALE).and(NO_ASYNC_LOADING), "3.0.0", "Removes a member.")
            .refuse(Refusal::ClusterDisabled),
        CLUSTER.keyless("cluster|getkeysinslot", Exactly(4), STALE, "3.0.0",
            "Lists keys in a slot.")
            .refuse(Refusal::ClusterDisabled).tips(VARIES),
        CLUSTER.help("cluster|help", "5.0.0"),
        CLUSTER.keyless("cluster|info", Exactly(2), STALE, "3.0.0",
            "Describes the cluster's state.")
            .refuse(Refusal::ClusterDisabled).tips(VARIES),
        CLUSTER.keyless("cluster|keyslot", Exactly(3), STALE, "3.0.0",
            "Returns the slot of a key.")
            .refuse(Refusal::ClusterDisabled),
        CLUSTER.keyless("cluster|links", Exactly(2), STALE, "7.0.0",
            "Lists the connections between members.")
            .refuse(Refusal::ClusterDisabled).tips(VARIES),
        CLUSTER.keyless("cluster|meet", AtLeast(4), ADMIN.and(STALE).and(NO_ASYNC_LOADING), "3.0.0",
            "Makes two members know each other.")
            .refuse(Refusal::ClusterDisabled),
        CLUSTER.keyless("cluster|myid", Exactly(2), STALE, "3.0.0", "Returns the member's id.")
            .refuse(Refusal::ClusterDisabled),
        CLUSTER.keyless("cluster|myshardid", Exactly(2), STALE, "7.2.0", "Returns the shard's id.")
            .refuse(Refusal::ClusterDisabled),
        CLUSTER.keyless("cluster|nodes", Exactly(2), STALE, "3.0.0",
            "Describes the cluster's members.")
            .refuse(Refusal::ClusterDisabled).tips(VARIES),
        CLUSTER.keyless("cluster|replicas", Exactly(3), ADMIN.and(STALE), "5.0.0",
            "Lists the replicas of a master.")
            .refuse(Refusal::ClusterDisabled).tips(VARIES),
        CLUSTER.keyless("cluster|replicate", Exactly(3),
            ADMIN.and(STALE).and(NO_ASYNC_LOADING), "3.0.0",
            "Makes a member the replica of a master.")
            .refuse(Refusal::ClusterDisabled),
        CLUSTER.keyless("cluster|reset", AtLeast(2), ADMIN.and(NOSCRIPT).and(STALE), "3.0.0",
            "Makes a member forget its cluster.")
            .refuse(Refusal::ClusterDisabled),
        CLUSTER.keyless("cluster|saveconfig", Exactly(2),
            ADMIN.and(STALE).and(NO_ASYNC_LOADING), "3.0.0", "Writes the cluster's state to disk.")
            .refuse(Refusal::ClusterDisabled),
        CLUSTER.keyless("cluster|set-config-epoch", Exactly(3),
            ADMIN.and(STALE).and(NO_ASYNC_LOADING), "3.0.0",
            "Sets a new member's configuration epoch.")
            .refuse(Refusal::ClusterDisabled),
        CLUSTER.keyless("cluster|setslot", AtLeast(4),
            ADMIN.and(STALE).and(NO_ASYNC_LOADING), "3.0.0", "Binds a slot to a member.")
            .refuse(Refusal::ClusterDisabled),
        CLUSTER.keyless("cluster|shards", Exactly(2), STALE, "7.0.0",
            "Maps slots to masters and replicas.")
            .refuse(Refusal::ClusterDisabled).tips(VARIES),
        CLUSTER.keyless("cluster|slaves", Exactly(3), ADMIN.and(STALE), "3.0.0",
            "Lists the replicas of a master.")
            .refuse(Refusal::ClusterDisabled).tips(VARIES).deprecated("5.0.0"),
        CLUSTER.keyless("cluster|slot-stats", AtLeast(4), LOADING, "8.0.0",
            "Describes the use of slots.")
            .refuse(Refusal::ClusterDisabled),
        CLUSTER.keyless("cluster|slots", Exactly(2), STALE, "3.0.0", "Maps slots to members.")
            .refuse(Refusal::ClusterDisabled).tips(VARIES).deprecated("7.0.0"),
    ]),
    CLUSTER.keyless("clusterscan", AtLeast(2), STALE, "9.1.0",
        "Goes through the keys of a cluster (Valkey).")
        .refuse(Refusal::ClusterDisabled),
    CLUSTER.keyless("readonly", Exactly(1), LOADING_FAST, "3.0.0",
        "Lets a connection read from a cluster's replica.")
        .refuse(Refusal::ClusterDisabled).also(Categories::CONNECTION),
    CLUSTER.keyless("readwrite", Exactly(1), LOADING_FAST, "3.0.0", "Ends what READONLY began.")
        .refuse(Refusal::ClusterDisabled).also(Categories::CONNECTION),
];
