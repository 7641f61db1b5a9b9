package glimpse

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// ReadPassword reads a password from the first line of a file, without its line end. Nothing of the file is in an error.
func ReadPassword(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("glimpse: password file: %w", err)
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, 256)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("glimpse: password file: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	if len(line) > 10 {
		return "", fmt.Errorf("glimpse: password file %s: the first line has %d characters or more, want at most 10", path, len(line))
	}
	return line, nil
}
