// Package testvec finds the captures and expectations that tests are checked against.
//
// They live outside the tree (they are other people's recordings and are never shipped with it): in the folder that
// TICKWIRE_VECTORS names, else in shared/vectors beside the checkout. Where CI=true their absence is a
// failure, elsewhere a test that needs them skips and says why.
package testvec

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir returns the folder of one set of vectors, such as "nasdaq" or "dbn". When it is missing the test is skipped
// with the reason, or failed when the environment says CI=true.
func Dir(tb testing.TB, set string) string {
	tb.Helper()
	if root := os.Getenv("TICKWIRE_VECTORS"); root != "" {
		return check(tb, filepath.Join(root, set))
	}
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatalf("testvec: working directory: %v", err)
	}
	for up := dir; ; up = filepath.Dir(up) {
		if _, err := os.Stat(filepath.Join(up, "go.mod")); err == nil {
			return check(tb, filepath.Join(up, "..", "shared", "vectors", set))
		}
		if up == filepath.Dir(up) {
			tb.Fatalf("testvec: no go.mod above %s", dir)
		}
	}
}

func check(tb testing.TB, dir string) string {
	tb.Helper()
	if st, err := os.Stat(dir); err == nil && st.IsDir() {
		return dir
	}
	const hint = "set TICKWIRE_VECTORS to the folder of captures"
	if os.Getenv("CI") == "true" {
		tb.Fatalf("testvec: %s is missing, and CI must have it; %s", dir, hint)
	}
	tb.Skipf("testvec: %s is missing; %s", dir, hint)
	return ""
}
