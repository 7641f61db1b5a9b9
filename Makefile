# make            prints this list
# make build      the binary, with DuckDB
# make static     the binary without cgo: every command but the DuckDB ones; and ticktune
# make packages   Debian packages and a tarball in dist/ (docs/install.md)
# make test       what CI tests, without what needs privileges
# make race       the same under the race detector
# make fuzz       ten seconds for each fuzz test
# make bench      the benchmarks of the hot path
# make generate   generated files anew
# make lint       gofmt, go vet and, where it is installed, golangci-lint
# make demo       the main job on a generated session
.PHONY: help build static packages test race fuzz bench generate lint demo
help:
	@sed -n 's/^# //p' Makefile
build:
	go build -o dist/tickwire ./cmd/tickwire
static:
	CGO_ENABLED=0 go build -o dist/tickwire-static ./cmd/tickwire
	CGO_ENABLED=0 go build -o dist/ticktune ./cmd/ticktune
packages:
	deploy/package/build dist
test:
	go test ./...
race:
	go test -race ./...
fuzz:
	.ci/fuzz 10s
bench:
	go test -run '^$$' -bench . ./tick ./parsers/itch ./feed/book ./ringbuf ./plugins/pluginbench
generate:
	go generate ./...
lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || (gofmt -l $$(git ls-files '*.go'); exit 1)
	go vet ./...
	@if command -v golangci-lint >/dev/null; then golangci-lint run; fi
demo:
	go run ./cmd/tickwire demo
