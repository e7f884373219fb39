//! Models of the protocols: every order of events that the memory model allows.
