// Package docker_test looks after the lab without docker: it reads the Dockerfile and the compose file as rules of thumb for both would
// have them, and runs the lab's commands, as the compose file has them, in two network namespaces in place of containers. That images
// build, and that docker's own bridge carries multicast, only a machine with docker shows.
package docker_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go.yaml.in/yaml/v3"

	"github.com/tickwire/tickwire/internal/buildinfo"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
)

const tree = "../.."

// instruction is one of a Dockerfile, its continued lines joined.
type instruction struct{ name, rest string }

func dockerfile(t *testing.T) (all []instruction) {
	t.Helper()
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	joined := regexp.MustCompile(`\\\n\s*`).ReplaceAllString(string(text), " ")
	for line := range strings.Lines(joined) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		all = append(all, instruction{name, strings.TrimSpace(rest)})
	}
	return all
}

func TestDockerfile(t *testing.T) {
	known := strings.Fields("FROM WORKDIR COPY RUN ARG ENV EXPOSE USER ENTRYPOINT CMD")
	stages := map[string]bool{}
	last := map[string]string{}
	var bases []string
	for _, in := range dockerfile(t) {
		last[in.name] = in.rest
		switch in.name {
		case "FROM":
			f := strings.Fields(in.rest)
			bases = append(bases, f[0])
			if _, tag, ok := strings.Cut(f[0], ":"); !ok || tag == "latest" {
				t.Errorf("FROM %s: want an image with a tag that stays", in.rest)
			}
			if len(f) == 3 {
				stages[f[2]] = true
			}
			delete(last, "USER") // each stage has its own
		case "COPY":
			f := strings.Fields(in.rest)
			if stage, ok := strings.CutPrefix(f[0], "--from="); ok {
				if !stages[stage] {
					t.Errorf("COPY %s: no such stage", in.rest)
				}
				continue
			}
			if len(f) > 2 && !strings.HasSuffix(f[len(f)-1], "/") {
				t.Errorf("COPY %s: several files go to a folder, which ends in /", in.rest)
			}
			for _, source := range f[:len(f)-1] {
				if _, err := os.Stat(filepath.Join(tree, source)); err != nil {
					t.Errorf("COPY %s: %v", in.rest, err)
				}
			}
		case "ENTRYPOINT", "CMD":
			var words []string
			if err := json.Unmarshal([]byte(in.rest), &words); err != nil {
				t.Errorf("%s %s: want the form without a shell, which would keep signals from the process", in.name, in.rest)
			}
		case "RUN":
			if regexp.MustCompile(`\b(sudo|curl|wget|apt-get upgrade)\b`).MatchString(in.rest) {
				t.Errorf("RUN %s: nothing that cannot be told tomorrow what it was", in.rest)
			}
			if strings.Contains(in.rest, "go build") && !strings.Contains(in.rest, "internal/buildinfo.Version=${VERSION}") {
				t.Errorf("RUN %s: the program does not learn its version", in.rest)
			}
		}
		if !slices.Contains(known, in.name) {
			t.Errorf("%s is not an instruction that is used here: %s", in.name, known)
		}
	}
	if uid, _, _ := strings.Cut(last["USER"], ":"); uid == "" || uid == "0" || !regexp.MustCompile(`^\d+$`).MatchString(uid) {
		t.Errorf("the last USER is %q, want a number that is not root's", last["USER"])
	}
	if want := "VERSION=" + buildinfo.Version; last["ARG"] != want {
		t.Errorf("ARG %s, want %s, the tree's", last["ARG"], want)
	}
	mod, err := os.ReadFile(filepath.Join(tree, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	goes := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	if want := fmt.Sprintf("golang:%s-bookworm", goes[1]); len(bases) != 2 || bases[0] != want || bases[1] != "debian:bookworm-slim" {
		t.Errorf("images %q, want %s and a Debian of the same name, whose C library it is linked with", bases, want)
	}
}

// compose is what compose.yaml may say here; a key that is not in it is refused.
type compose struct {
	Name        string
	Process     service           `yaml:"x-process"`
	Environment map[string]string `yaml:"x-environment"`
	Services    map[string]service
	Networks    map[string]struct {
		Internal bool
		IPAM     struct {
			Config []struct{ Subnet netip.Prefix }
		}
	}
	Volumes map[string]struct {
		DriverOpts map[string]string `yaml:"driver_opts"`
	}
}

type service struct {
	Image       string
	Build       struct{ Context, Dockerfile string }
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Restart     string
	Tmpfs       []string
	Command     []string
	Environment map[string]string
	Volumes     []string
	Networks    yaml.Node
	Ports       []string
	DependsOn   []string `yaml:"depends_on"`
	Healthcheck struct {
		Test                  []string
		Interval, StartPeriod string `yaml:",omitempty"`
		Start                 string `yaml:"start_period"`
	}
}

// networks are a service's, with its address in each, "" where docker chooses.
func (s *service) networks(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	if s.Networks.Kind == yaml.SequenceNode {
		var names []string
		if err := s.Networks.Decode(&names); err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			all[n] = ""
		}
		return all
	}
	var with map[string]struct {
		Address string `yaml:"ipv4_address"`
	}
	if err := s.Networks.Decode(&with); err != nil {
		t.Fatal(err)
	}
	for n, w := range with {
		all[n] = w.Address
	}
	return all
}

func readCompose(t *testing.T) *compose {
	t.Helper()
	text, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := &compose{}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCompose(t *testing.T) {
	c := readCompose(t)
	built := 0
	for name, s := range c.Services {
		if s.Build.Dockerfile != "" {
			built++
			if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if s.Image != c.Process.Image || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s has more rights, or another image, than the lab's processes have", name)
		}
		for _, other := range s.DependsOn {
			if _, there := c.Services[other]; !there {
				t.Errorf("%s depends on %s, which is no service", name, other)
			}
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if strings.HasPrefix(from, ".") {
				if _, err := os.Stat(from); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			} else if _, there := c.Volumes[from]; !there {
				t.Errorf("%s: no volume %s", name, from)
			}
		}
		for network, address := range s.networks(t) {
			n, there := c.Networks[network]
			if !there {
				t.Errorf("%s: no network %s", name, network)
			} else if address != "" && (len(n.IPAM.Config) != 1 || !n.IPAM.Config[0].Subnet.Contains(netip.MustParseAddr(address))) {
				t.Errorf("%s: %s is not of network %s", name, address, network)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: port %s is everybody's", name, p)
			}
		}
	}
	if built != 1 {
		t.Errorf("the image is built %d times, want once", built)
	}
	if o := c.Volumes["rings"].DriverOpts["o"]; !strings.Contains(o, "uid=10001,gid=10001") {
		t.Errorf("the rings are %s, want the image's user's", o)
	}

	// The feed asks the exchange where it is, and listens on the interface that it sends by.
	cfg, err := config.Load("lab.toml", nil)
	if err != nil {
		t.Fatal(err)
	}
	f, sim := &cfg.Feed[0], c.Services["sim"]
	at := sim.networks(t)["exchange"]
	for _, address := range append(slices.Clone(f.Recovery.Servers), f.Recovery.Snapshot) {
		if !strings.HasPrefix(address, at+":") {
			t.Errorf("%s is not the exchange's, %s", address, at)
		}
	}
	if f.Name != c.Services["feed"].Command[1] || f.Channel[0].Line[0].Interface != flag(t, sim.Command, "--interface") {
		t.Errorf("feed %s on %s: compose.yaml has others", f.Name, f.Channel[0].Line[0].Interface)
	}
	if cfg.Serve.Users[0].PasswordFile != "/etc/tickwire/lab.password" {
		t.Error("compose.yaml has the password elsewhere")
	}
}

func flag(t *testing.T, command []string, name string) string {
	t.Helper()
	i := slices.Index(command, name)
	if i < 0 || i+1 == len(command) {
		t.Fatalf("%q has no %s", command, name)
	}
	return command[i+1]
}

// binary is tickwire: that of TICKWIRE_PACKAGES, or built here.
func binary(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if packages := os.Getenv("TICKWIRE_PACKAGES"); packages != "" {
		found, err := filepath.Glob(filepath.Join(packages, "tickwire_*.deb"))
		if err != nil || len(found) != 1 {
			t.Fatalf("%v, %v: want one package", found, err)
		}
		if out, err := exec.Command("dpkg-deb", "-x", found[0], dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return filepath.Join(dir, "usr/bin/tickwire")
	}
	c := exec.Command("go", "build", "-o", filepath.Join(dir, "tickwire"), "./cmd/tickwire")
	c.Dir = tree
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "tickwire")
}

// TestLab runs the services' commands, with their environment and the lab's configuration: the exchange in one network namespace, feed and
// serve in another, as containers have them. Only folders are others. What comes out of the SQL port is asked as the lab's user.
func TestLab(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it needs the program with DuckDB")
	}
	c := readCompose(t)
	program := binary(t)
	pair := nstest.Pair(t, netns.Options{})
	for ns, link := range map[*netns.NS]string{pair.Rx: "feed0", pair.Tx: "gen0"} {
		if err := ns.Do(func() error { return rename(link, "eth0") }); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]string{"TICKWIRE_CONFIG": filepath.Join(here, "lab.toml"), "TICKWIRE_INSTANCE__RING_DIR": dir}
	logs := map[string]string{}
	for _, s := range []struct {
		name string
		ns   *netns.NS
		more []string
	}{
		{"sim", pair.Tx, nil},
		{"feed", pair.Rx, []string{"TICKWIRE_INSTANCE__RUN_DIR=" + dir}},
		{"serve", pair.Rx, []string{"TICKWIRE_SERVE__USER__0__PASSWORD_FILE=" + filepath.Join(here, "lab.password"), "TICKWIRE_INSTANCE__RUN_DIR=" + dir}},
	} {
		what := c.Services[s.name]
		cmd := exec.Command(program, what.Command...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
		for name, value := range what.Environment {
			if other, there := places[name]; there {
				value = other
			}
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		cmd.Env = append(cmd.Env, s.more...)
		log, err := os.Create(filepath.Join(dir, s.name+".log"))
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		logs[s.name] = log.Name()
		cmd.Stdout, cmd.Stderr = log, log
		if err := s.ns.Do(cmd.Start); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			if err := cmd.Wait(); err != nil {
				text, _ := os.ReadFile(log.Name())
				t.Errorf("%s ended with %v\n%s", s.name, err, text)
			}
		}()
	}
	serve := c.Services["serve"]
	check := slices.Clone(serve.Healthcheck.Test[1:])
	check[0] = program
	ask := func(statement string) (string, error) {
		args := append(slices.Clone(check[1:len(check)-1]), "--format", "csv", statement)
		cmd := exec.Command(check[0], args...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := pair.Rx.Do(cmd.Start); err != nil {
			return "", err
		}
		err := cmd.Wait()
		return out.String(), err
	}
	await := func(statement string) {
		t.Helper()
		last := ""
		for end := time.Now().Add(2 * time.Minute); last != "t"; time.Sleep(200 * time.Millisecond) {
			answer, err := ask(statement)
			if fields := strings.Fields(answer); err == nil && len(fields) == 2 {
				last = fields[1]
			}
			if time.Now().After(end) {
				for name, at := range logs {
					text, _ := os.ReadFile(at)
					t.Logf("%s:\n%s", name, text)
				}
				t.Fatalf("%s is not true within 2 minutes: %v: %s", statement, err, answer)
			}
		}
	}
	await("SELECT count(*) > 20000 AS ok FROM orders")
	// The exchange began before the feed: what it had said by then comes as a snapshot, which closes the gap.
	await("SELECT count(CASE WHEN kind = 'lost' THEN 1 END) <= count(CASE WHEN kind = 'closed' THEN 1 END) AS ok FROM gaps")
	if answer, err := ask(check[len(check)-1]); err != nil || !strings.HasSuffix(strings.TrimSpace(answer), "1") {
		t.Errorf("the health check: %v: %s", err, answer)
	}
}

// rename gives an interface of the thread's namespace another name.
func rename(from, to string) error {
	link, err := netlink.LinkByName(from)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetDown(link); err != nil {
		return err
	}
	if err := netlink.LinkSetName(link, to); err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}
