package main

import "github.com/spf13/cobra"

func runCommands() []*cobra.Command {
	return []*cobra.Command{demoCommand(), runCommand(), feedCommand(), consolidateCommand(), serveCommand(), configCommand()}
}

func fileCommands() []*cobra.Command {
	return []*cobra.Command{decodeCommand(), sqlCommand(), replayCommand(), convertCommand(), genCommand(), simCommand()}
}

func lookCommands() []*cobra.Command {
	return []*cobra.Command{statusCommand(), ringCommand(), captureCommand()}
}

func toolCommands() []*cobra.Command {
	return []*cobra.Command{pluginCommand(), benchCommand(), hwtestCommand(), benchRingReader(), pluginCompileCommand(), versionCommand()}
}
