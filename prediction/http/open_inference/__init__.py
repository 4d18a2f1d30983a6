"""`/v2`: the Open Inference Protocol over REST, for clients of KServe, Triton and MLServer."""
