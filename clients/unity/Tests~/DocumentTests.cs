using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Text.RegularExpressions;
using System.Threading.Tasks;
using Newtonsoft.Json.Linq;

namespace GameApi.Tests
{
    /// <summary>The client and the OpenAPI document have the same models, operations and codes.</summary>
    internal static class DocumentTests
    {
        private static readonly Type[] Models =
        {
            typeof(Player), typeof(PlayerCreate), typeof(PlayerUpdate), typeof(PlayerPage), typeof(Session),
            typeof(SessionCreate), typeof(SessionUpdate), typeof(SessionPage), typeof(Member), typeof(MemberUpdate),
            typeof(SessionJoin), typeof(PartyJoin), typeof(GameServer), typeof(Health), typeof(Problem), typeof(FieldError),
        };

        public static Task Every_model_has_the_members_of_its_schema()
        {
            foreach (Type model in Models)
            {
                Check.SameSet(Document.MembersOf(model.Name), Json.MembersOf(model), model.Name);
            }
            return Task.CompletedTask;
        }

        public static Task Every_member_has_the_type_of_its_schema()
        {
            foreach (Type model in Models)
            {
                // A problem may have a status that is new in it, so the document says only that it is a string.
                string status = model == typeof(Problem) ? "string" : "SessionStatus";
                Check.SameSet(
                    ((JObject)Document.Schemas[model.Name]["properties"]).Properties()
                        .Select(member => member.Name + " " + SchemaTypes.Of((JObject)member.Value)),
                    Json.PropertiesOf(model).Select(member => member.Key + " " + SchemaTypes.Of(member.Value.PropertyType).Replace("SessionStatus", status)),
                    model.Name);
            }
            Check.SameSet(Document.MembersOf("ServerAddress"), Json.MembersOf(typeof(GameServer)), "ServerAddress");
            return Task.CompletedTask;
        }

        public static Task Members_that_may_be_null_or_absent_are_so_in_requests()
        {
            foreach (Type model in Models.Where(type => type.Name.EndsWith("Update")))
            {
                foreach (PropertyInfo property in model.GetProperties())
                {
                    Type type = property.PropertyType;
                    Check.True(
                        type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Optional<>),
                        model.Name + "." + property.Name + " is optional");
                }
            }
            return Task.CompletedTask;
        }

        public static Task Every_status_and_visibility_has_a_constant()
        {
            foreach (Type type in new[] { typeof(SessionStatus), typeof(Visibility) })
            {
                Check.SameSet(
                    Document.Schemas[type.Name]["enum"].Select(value => (string)value),
                    type.GetFields(BindingFlags.Public | BindingFlags.Static).Select(field => field.GetValue(null).ToString()),
                    type.Name);
            }
            return Task.CompletedTask;
        }

        public static Task Every_operation_on_players_and_sessions_has_a_method()
        {
            string[] elsewhere = { "getReadiness", "getDetailedHealth" };
            Check.SameSet(
                Document.Operations.Select(operation => (string)operation["operationId"]).Except(elsewhere).Select(MethodName),
                Methods().Select(method => method.Name),
                "methods");
            return Task.CompletedTask;
        }

        public static Task Every_method_takes_the_parameters_of_its_operation()
        {
            foreach (JObject operation in Document.Operations)
            {
                MethodInfo method = Methods().FirstOrDefault(m => m.Name == MethodName((string)operation["operationId"]));
                if (method == null)
                {
                    continue;
                }
                IEnumerable<string> expected = Document.ParametersOf(operation, "header")
                    .Concat(Document.ParametersOf(operation, "path"))
                    .Concat(Document.ParametersOf(operation, "query"))
                    .Select(name => name.Replace("-", string.Empty).Replace("_", string.Empty).ToLowerInvariant());
                Check.SameSet(expected, Parameters(method), method.Name);
            }
            return Task.CompletedTask;
        }

        public static Task Every_code_of_the_document_has_a_constant()
        {
            string[] known = typeof(ErrorCodes).GetFields().Select(field => (string)field.GetValue(null)).ToArray();
            string[] own = { ErrorCodes.NetworkError, ErrorCodes.UnexpectedResponse };
            IEnumerable<string> documented = Regex.Matches(Document.Text, "\"code\":\\s*\"([a-z_]+)\"").Cast<Match>()
                .Select(match => match.Groups[1].Value).Distinct();
            Check.SameSet(documented, known.Except(own), "codes");
            return Task.CompletedTask;
        }

        private static string MethodName(string operationId) =>
            char.ToUpperInvariant(operationId[0]) + operationId.Substring(1) + "Async";

        // The walks over all pages are the only methods that are no operations.
        private static IEnumerable<MethodInfo> Methods() =>
            typeof(GameApiClient).GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly)
                .Where(method => !method.Name.StartsWith("ListAll"));

        private static IEnumerable<string> Parameters(MethodInfo method)
        {
            foreach (ParameterInfo parameter in method.GetParameters())
            {
                if (parameter.ParameterType == typeof(SessionFilter))
                {
                    // The properties for parameters that can be repeated are plurals.
                    foreach (PropertyInfo property in typeof(SessionFilter).GetProperties())
                    {
                        string name = property.Name.ToLowerInvariant();
                        yield return name == "statuses" ? "status" : name == "attributes" ? "attribute" : name;
                    }
                }
                else if (parameter.ParameterType.IsPrimitive || parameter.ParameterType == typeof(string)
                    || Nullable.GetUnderlyingType(parameter.ParameterType) != null)
                {
                    yield return parameter.Name.ToLowerInvariant();
                }
            }
        }
    }
}
