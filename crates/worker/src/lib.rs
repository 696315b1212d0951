//! Lease, fan out, gate, sign, send, judge, settle.
