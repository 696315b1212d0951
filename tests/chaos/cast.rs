//! A whole fleet over a cluster: an API and three workers, each behind proxies of its own, and the
//! doors by which events go in.

use std::path::Path;

use e2e::fleet::Fleet;

use crate::publish::{self, Door};
use crate::running::{self, Links, NODES, Plan, Role};

pub struct Cast {
    pub api: Role,
    pub workers: Vec<Role>,
    /// Of the API, the workers and the producer, in this order.
    pub links: Vec<Links>,
}

const NAMES: [&str; 5] = ["api", "worker1", "worker2", "worker3", "producer"];

impl Cast {
    /// Starts it, and makes sure that no queue depends on one node.
    pub async fn start(fleet: &Fleet, logs: &Path) -> Self {
        let services = fleet.services().unwrap();
        let mut links = Vec::new();
        for _ in NAMES {
            links.push(Links::new(services).await);
        }
        let listen = fleet.client.url.trim_start_matches("http://").to_owned();
        let plan = Plan {
            name: NAMES[0],
            arguments: &["api", "--listen", &listen],
            links: links.first(),
            own_clock: false,
        };
        let api = Role::start(fleet, logs, plan).await;
        let mut workers = Vec::new();
        for (number, name) in NAMES.iter().copied().enumerate().skip(1).take(3) {
            let own_clock = number == 3 && running::clocks_can_be_set();
            let plan = Plan { name, arguments: &["worker"], links: links.get(number), own_clock };
            workers.push(Role::start(fleet, logs, plan).await);
        }
        three_members_each(fleet).await;
        Self { api, workers, links }
    }

    /// By HTTP, and by the producer crate.
    pub async fn doors(&self, fleet: &Fleet) -> Vec<Door> {
        let (amqp_url, redis_url) = self.links.last().unwrap().urls();
        let producer = publish::producer(amqp_url, redis_url).await;
        vec![Door::Http(fleet.client.clone()), Door::Crate(producer)]
    }
}

/// The ways of the processes, by their names.
pub fn ways(links: &[Links]) -> Vec<(&'static str, &Links)> {
    NAMES.into_iter().zip(links).collect()
}

/// What `rabbitmqctl list_queues` says of each queue, its name first.
async fn list_queues(fleet: &Fleet, column: &str) -> Vec<(String, String)> {
    let services = fleet.services().unwrap();
    let list = ["-p", services.vhost(), "--no-table-headers", "list_queues", "name", column];
    let list = services.rabbitmqctl(&list).await;
    let lines = list.lines().filter_map(|line| line.split_once('\t'));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Every queue has a member on each node: losing a minority must lose nothing.
async fn three_members_each(fleet: &Fleet) {
    let queues = list_queues(fleet, "members").await;
    assert!(queues.len() > 20, "the fleet's queues are not there: {queues:?}");
    for (queue, members) in queues {
        let count = members.matches('@').count();
        assert_eq!(count, NODES.len(), "{queue} has members {members}");
    }
}

/// Messages that are still to be worked on.
pub async fn left_in_queues(fleet: &Fleet) -> u64 {
    let kept = ["hookfleet.dead", "hookfleet.archive"];
    let queues = list_queues(fleet, "messages").await;
    let left = queues.iter().filter(|(name, _)| !kept.contains(&name.as_str()));
    left.map(|(_, messages)| messages.parse::<u64>().unwrap_or(0)).sum()
}
