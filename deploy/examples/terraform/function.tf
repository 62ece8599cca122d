# The function with Terraform, without SAM and without cargo lambda. `make build` makes the zip, with the policy directory in it.
# The alarms, the dashboard and the saved queries of template.yaml are not here.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.40"
    }
  }
}

variable "function_name" {
  type    = string
  default = "sentinel-tvm"
}

variable "protected_roles" {
  description = "Roles that the function may assume: at least one ARN, each with at most one star, at its end."
  type        = list(string)

  validation {
    condition = length(var.protected_roles) > 0 && alltrue([
      for arn in var.protected_roles : can(regex("^arn:aws[a-z-]*:iam::\\d{12}:role/[\\w+=,.@/-]{3,}\\*?$", arn))
    ])
    error_message = "Give at least one role ARN: a 12-digit account, three characters of a name, one star at most, at the end."
  }
}

variable "settings" {
  description = "More environment variables, as in docs/configuration.md."
  type        = map(string)
  default     = {}
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  # Written out, because the function needs the role first.
  function_arn = join(":", [
    "arn", data.aws_partition.current.partition, "lambda", data.aws_region.current.name,
    data.aws_caller_identity.current.account_id, "function", var.function_name,
  ])
  # Also as a version, if there is one.
  source_arns = [local.function_arn, "${local.function_arn}:*"]
}

resource "aws_cloudwatch_log_group" "trail" {
  name              = "/aws/lambda/${var.function_name}"
  retention_in_days = 365
}

resource "aws_iam_role" "function" {
  name = "${var.function_name}-function"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "vend" {
  name = "vend"
  role = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "WriteOwnLog"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.trail.arn}:*"
      },
      {
        Sid      = "CountRequests"
        Effect   = "Allow"
        Action   = "dynamodb:UpdateItem"
        Resource = aws_dynamodb_table.rate_limit.arn
      },
      {
        Sid       = "AssumeProtectedRoles"
        Effect    = "Allow"
        Action    = ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"]
        Resource  = var.protected_roles
        Condition = { ArnEquals = { "lambda:SourceFunctionArn" = local.source_arns } }
      },
      # These two statements are the fence; template.yaml says why the Allow above is not enough.
      {
        Sid    = "OnlyAsThisFunction"
        Effect = "Deny"
        Action = [
          "dynamodb:*", "secretsmanager:*", "ssm:*", "sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession",
        ]
        Resource  = "*"
        Condition = { ArnNotEquals = { "lambda:SourceFunctionArn" = local.source_arns } }
      },
      {
        Sid         = "OnlyProtectedRoles"
        Effect      = "Deny"
        Action      = ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"]
        NotResource = var.protected_roles
      },
    ]
  })
}

resource "aws_lambda_function" "sentinel" {
  function_name    = var.function_name
  description      = "Vends short-lived credentials to callers that IAM has identified."
  role             = aws_iam_role.function.arn
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = ["arm64"]
  filename         = "${path.module}/../../../target/lambda/sentinel-tvm/bootstrap.zip"
  source_code_hash = filebase64sha256("${path.module}/../../../target/lambda/sentinel-tvm/bootstrap.zip")
  memory_size      = 128
  timeout          = 10

  environment {
    variables = merge(
      { SENTINEL_RATE_LIMIT_TABLE = aws_dynamodb_table.rate_limit.name },
      var.approvals ? { SENTINEL_GRANTS_TABLE = aws_dynamodb_table.grants[0].name } : {},
      local.device_settings,
      var.settings,
    )
  }

  # No application log level above INFO: Lambda would drop the audit lines.
  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.trail.name
  }
}

resource "aws_lambda_function_url" "sentinel" {
  function_name      = aws_lambda_function.sentinel.function_name
  authorization_type = "AWS_IAM"
}

# Callers need both statements; each has a condition that limits it to the URL. Never grant lambda:InvokeFunction without its
# condition.
resource "aws_iam_policy" "callers" {
  name = "${var.function_name}-callers"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "CallTheUrl"
        Effect    = "Allow"
        Action    = "lambda:InvokeFunctionUrl"
        Resource  = [local.function_arn, "${local.function_arn}:live"]
        Condition = { StringEquals = { "lambda:FunctionUrlAuthType" = "AWS_IAM" } }
      },
      {
        Sid       = "InvokeOnlyThroughTheUrl"
        Effect    = "Allow"
        Action    = "lambda:InvokeFunction"
        Resource  = [local.function_arn, "${local.function_arn}:live"]
        Condition = { Bool = { "lambda:InvokedViaFunctionUrl" = "true" } }
      },
    ]
  })
}

output "function_url" {
  value = aws_lambda_function_url.sentinel.function_url
}

output "function_role_arn" {
  value = aws_iam_role.function.arn
}
