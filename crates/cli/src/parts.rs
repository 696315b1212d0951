//! The parts that every serving role is made of.

use std::sync::Arc;

use hookfleet_domain::{Clock, Tracer};
use hookfleet_producer::{Producer, ProducerMetrics};
use hookfleet_queue::Queue;
use hookfleet_store::Store;
use hookfleet_worker::{Sender, Worker, WorkerMetrics, WorkerParts};
use prometheus::Registry;

use crate::config::Config;
use crate::failure::Failure;
use crate::wire::{self, Ports};

/// All of them, not yet running.
pub struct Parts {
    pub queue: Arc<dyn Queue>,
    pub store: Arc<dyn Store>,
    pub producer: Producer,
    pub sender: Arc<Sender>,
    pub clock: Arc<dyn Clock>,
    tracer: Tracer,
}

impl Parts {
    /// Made over these ports.
    pub fn new(
        over: &Ports,
        config: &Config,
        registry: &Registry,
        tracer: &Tracer,
    ) -> Result<Self, Failure> {
        let (queue, store) = (Arc::clone(&over.queue), Arc::clone(&over.store));
        let clock = wire::clock();
        let metrics = ProducerMetrics::register(registry).map_err(Failure::failed)?;
        let producer =
            Producer::new(Arc::clone(&queue), Arc::clone(&store), Arc::clone(&clock), metrics);
        let (producer, tracer) = (producer.traced(tracer.clone()), tracer.clone());
        let sender = Sender::new(&config.egress).map_err(Failure::usage)?;
        Ok(Self { queue, store, producer, sender: Arc::new(sender), clock, tracer })
    }

    /// A worker of these parts.
    pub fn worker(&self, config: &Config, registry: &Registry) -> Result<Arc<Worker>, Failure> {
        let parts = WorkerParts {
            queue: Arc::clone(&self.queue),
            store: Arc::clone(&self.store),
            producer: self.producer.clone(),
            sender: Arc::clone(&self.sender),
            clock: Arc::clone(&self.clock),
            metrics: WorkerMetrics::register(registry, config.endpoint_metrics_max)
                .map_err(Failure::failed)?,
            tracer: self.tracer.clone(),
        };
        Ok(Worker::new(parts, config.worker.clone()))
    }
}
