module numberverification

go 1.19
