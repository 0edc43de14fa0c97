using System;
using System.Collections.Generic;
using System.Linq;
using Newtonsoft.Json.Linq;

namespace GameApi.Tests
{
    /// <summary>One name for a type of a schema and the type of C# that holds it.</summary>
    internal static class SchemaTypes
    {
        private static readonly Dictionary<Type, string> Names = new Dictionary<Type, string>
        {
            [typeof(string)] = "string", [typeof(int)] = "int32", [typeof(long)] = "int64", [typeof(bool)] = "boolean",
            [typeof(DateTimeOffset)] = "date-time",
        };

        /// <summary>The type of a member, without whether it may be null.</summary>
        internal static string Of(JObject schema)
        {
            JToken choice = (schema["anyOf"] as JArray)?.First(option => (string)option["type"] != "null");
            JObject actual = choice as JObject ?? schema;
            if (schema["anyOf"] is JArray && ((JArray)schema["anyOf"]).Count > 2)
            {
                return "any";
            }
            string reference = ((string)actual["$ref"])?.Split('/').Last();
            switch ((string)actual["type"])
            {
                case null:
                    return reference == "HealthStatus" ? "string" : reference == "ServerAddress" ? "GameServer" : reference;
                case "array":
                    return "list of " + Of((JObject)actual["items"]);
                case "integer":
                    return (string)actual["format"];
                default:
                    return (string)actual["format"] == "date-time" ? "date-time" : (string)actual["type"];
            }
        }

        /// <summary>The type of a property, without whether it may be null or absent.</summary>
        internal static string Of(Type type)
        {
            Type[] arguments = type.GetGenericArguments();
            if (arguments.Length == 0)
            {
                return Names.ContainsKey(type) ? Names[type] : type.Name;
            }
            bool isList = !type.IsValueType;
            return (isList ? "list of " : string.Empty) + Of(arguments[0]);
        }
    }
}
