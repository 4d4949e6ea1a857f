"""The checks of the evidence: a module for each, in whose ``CHECK`` it is told and run."""
