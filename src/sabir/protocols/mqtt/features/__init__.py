"""The broker: subscriptions, retained messages, sessions, who may do what."""
