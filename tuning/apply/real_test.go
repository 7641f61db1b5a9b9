package apply

func realChild() int { return 0 }
