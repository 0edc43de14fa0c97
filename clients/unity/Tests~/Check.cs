using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading.Tasks;

namespace GameApi.Tests
{
    /// <summary>What the tests assert.</summary>
    internal static class Check
    {
        internal static void Equal<T>(T expected, T actual, string what = "value")
        {
            if (!EqualityComparer<T>.Default.Equals(expected, actual))
            {
                throw new Exception(what + ": expected '" + expected + "', but was '" + actual + "'");
            }
        }

        internal static void True(bool condition, string what)
        {
            if (!condition)
            {
                throw new Exception("not true: " + what);
            }
        }

        internal static void SameSet(IEnumerable<string> expected, IEnumerable<string> actual, string what)
        {
            string missing = string.Join(", ", expected.Except(actual).OrderBy(name => name));
            string surplus = string.Join(", ", actual.Except(expected).OrderBy(name => name));
            if (missing.Length + surplus.Length > 0)
            {
                throw new Exception(what + ": missing [" + missing + "], surplus [" + surplus + "]");
            }
        }

        internal static async Task<T> Throws<T>(Func<Task> action)
            where T : Exception
        {
            try
            {
                await action();
            }
            catch (T error)
            {
                return error;
            }
            throw new Exception("expected " + typeof(T).Name + ", but nothing was thrown");
        }

        internal static async Task<GameApiException> Fails(string code, Func<Task> action)
        {
            var error = await Throws<GameApiException>(action);
            Equal(code, error.Code, "code of '" + error.Message + "'");
            return error;
        }
    }
}
