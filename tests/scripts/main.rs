//! The scripts that come with the project, run as keepalived, systemd and Sentinel run them.

mod client_reconfig;
mod keepalived;
mod shells;
