//! Webhook signatures: make, verify, rotate. Usable alone by receivers.
