# A protected role, as in deploy/protected-role.yaml. If the role is in another account than the function, write the ARN of the
# function's role instead of the references.

resource "aws_iam_role" "vended_development" {
  name                 = "vended-development"
  max_session_duration = 3600
  # One statement for each action, because each has its own condition keys. AWS checks all three for one AssumeRole call.
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AssumeForThisProfile"
        Effect    = "Allow"
        Principal = { AWS = aws_iam_role.function.arn }
        Action    = "sts:AssumeRole"
        Condition = {
          StringLike   = { "sts:SourceIdentity" = "sentinel-*" }
          StringEquals = { "aws:RequestTag/SentinelProfile" = "development" }
        }
      },
      {
        Sid       = "SayOnWhoseBehalf"
        Effect    = "Allow"
        Principal = { AWS = aws_iam_role.function.arn }
        Action    = "sts:SetSourceIdentity"
        Condition = { StringLike = { "sts:SourceIdentity" = "sentinel-*" } }
      },
      {
        Sid       = "TagWithThisProfile"
        Effect    = "Allow"
        Principal = { AWS = aws_iam_role.function.arn }
        Action    = "sts:TagSession"
        Condition = { StringEquals = { "aws:RequestTag/SentinelProfile" = "development" } }
      },
    ]
  })
}

# The example: list and describe resources, read no data. Replace it with what the profile is for.
resource "aws_iam_role_policy_attachment" "vended_development" {
  role       = aws_iam_role.vended_development.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/job-function/ViewOnlyAccess"
}
