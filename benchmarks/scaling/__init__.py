"""A capacity and cost model of the bundle, and a simulation of a campaign's peak; makes docs/scaling.md."""
