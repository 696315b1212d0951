//! RabbitMQ and Redis behind the two ports.
