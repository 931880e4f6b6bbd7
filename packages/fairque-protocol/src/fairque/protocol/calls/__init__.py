"""Builders of all calls, a module for each verb: pure functions from arguments to a `Call`."""
