//! Agents that ship with Relevo, ordinary OCF programs.
