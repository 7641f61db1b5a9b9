package hwtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/feed/process"
	"github.com/tickwire/tickwire/internal/config"
)

// feedEnv makes this test's binary a feed process: it holds the path of its configuration.
const feedEnv = "TICKWIRE_TEST_HWTEST_FEED"

func TestMain(m *testing.M) {
	path := os.Getenv(feedEnv)
	if path == "" {
		os.Exit(m.Run())
	}
	if err := asFeed(path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
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
	c.Env = append(os.Environ(), feedEnv+"="+config, "GODEBUG=asyncpreemptoff=1")
	return c, nil
}
