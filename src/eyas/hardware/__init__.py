"""How a step runs here: plan, replicas, operations over lists."""
