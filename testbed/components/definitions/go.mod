// Modules whose resource definitions are read and whose code is not compiled; `go mod tidy` would drop them.
module shardwright.dev/testbed/definitions

go 1.24.0

require (
	github.com/kedacore/keda/v2 v2.21.0
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
