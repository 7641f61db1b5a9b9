package hwtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/feed/process"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/tuning"
)

// feedEnv makes this test's binary a feed process: it holds the path of its configuration.
const feedEnv = "TICKWIRE_TEST_HWTEST_FEED"

func TestMain(m *testing.M) {
	var err error
	switch {
	case os.Getenv(feedEnv) != "":
		err = asFeed(os.Getenv(feedEnv))
	case os.Getenv(runEnv) != "":
		err = asRun([]byte(os.Getenv(runEnv)))
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runEnv makes this test's binary a run of its own, whose report goes to the output: it holds childOptions as JSON.
const runEnv = "TICKWIRE_TEST_HWTEST_RUN"

type childOptions struct {
	Profile            string
	Ports, Peers, Only []string
	For                time.Duration
}

func (o childOptions) options() Options {
	return Options{Plan: &tuning.Plan{Profile: o.Profile}, Ports: o.Ports, Peers: o.Peers, Only: o.Only, For: o.For, Quick: true, Feed: testFeed}
}

func asRun(text []byte) error {
	var o childOptions
	if err := json.Unmarshal(text, &o); err != nil {
		return err
	}
	r, err := Run(context.Background(), o.options())
	if err != nil {
		return err
	}
	return r.JSON(os.Stdout)
}

// child is a run as a process of its own; started starts it, on a thread that is as the process is to be.
func child(t *testing.T, o childOptions, started func(*exec.Cmd) error) (*Report, error) {
	t.Helper()
	text, err := json.Marshal(o)
	must(t, err)
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), runEnv+"="+string(text), "GODEBUG=asyncpreemptoff=1")
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	must(t, started(c))
	if err := c.Wait(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, said.String())
	}
	return Read(&out)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// asFeed is a feed process's main: what `tickwire feed` does.
func asFeed(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	c, err := config.Parse(text, nil)
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer cancel()
	p, err := process.Open(c, &c.Feed[0], slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	return errors.Join(p.Run(ctx), p.Close())
}

func testFeed(config string) (*exec.Cmd, error) {
	c := exec.Command(os.Args[0])
	c.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, runEnv+"=") }), feedEnv+"="+config, "GODEBUG=asyncpreemptoff=1")
	return c, nil
}
