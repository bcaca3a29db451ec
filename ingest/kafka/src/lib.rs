//! Kafka as a source of audit events, Azure's Event Hubs among them.
